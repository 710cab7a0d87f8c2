"""network/https: one small document from a server whose certificate is its own; everything else is an error in words."""

from socket import socket
from typing import Any

import pytest

from appliance.certificates.contents import wanted
from appliance.mail.errors import MisuseError, PeerError, PeerGone
from appliance.network.dial import dial
from appliance.network.https import HEAD_OCTETS, get, post
from appliance.network.tls_end import require_close_notify
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.https_server import HttpsServer
from tests.support.server import free_ports

PATH = "/.well-known/mta-sts.txt"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("web"), wanted("box", ["mta-sts.far.example"], []))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


async def fetched(certificates: TestCertificates, octets: bytes, host: str = "mta-sts.far.example", **words: Any) -> tuple[str, bytes]:
    with HttpsServer(certificates.server, octets, **words) as web:
        found = await get(
            host, PATH, [("127.0.0.1", web.port)], require_close_notify(certificates.client()), most_octets=1000, timeout_s=5,
        )  # fmt: skip
        assert web.asked.startswith(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n".encode()) and web.asked.endswith(b"\r\n\r\n")
        return found


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhello", HEAD + b"\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\nhello and more",
    ],
)  # fmt: skip
@pytest.mark.parametrize("record", [1, 16_384])
async def test_documents_in_every_framing(certificates: TestCertificates, octets: bytes, record: int) -> None:
    assert await fetched(certificates, octets, record=record) == ("text/plain", b"hello")


async def test_a_truncated_document_is_refused(certificates: TestCertificates) -> None:
    """Without a length only close_notify says that a policy is whole: half of one could name other hosts (RFC 9112 §9.8)."""
    with pytest.raises(PeerGone):
        await fetched(certificates, HEAD + b"\r\nhel", cut=True)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 301 Moved\r\nLocation: https://far.example/\r\n\r\n", b"HTTP/1.1 404 no\r\n\r\n", b"nonsense\r\n\r\n", b"",
        HEAD + b"Content-Length: 9\r\n\r\nhello", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000, HEAD + b"\r\n" + b"x" * 5000,
    ],
)  # fmt: skip
async def test_invalid_answers_are_refused(certificates: TestCertificates, octets: bytes) -> None:
    with pytest.raises((PeerError, MisuseError)):
        await fetched(certificates, octets)


async def test_an_endless_header_and_another_name(certificates: TestCertificates) -> None:
    with pytest.raises((PeerError, MisuseError)):
        await fetched(certificates, b"HTTP/1.1 200 OK\r\n", endless=True)
    with pytest.raises(PeerError):
        await fetched(certificates, HEAD + b"\r\nhello", host="mta-sts.other.example")


async def test_the_media_type_comes_without_its_parameters_in_lower_case(certificates: TestCertificates) -> None:
    assert (await fetched(certificates, b"HTTP/1.0 200 OK\r\nCONTENT-TYPE: Text/HTML ; charset=x\r\n\r\nhi"))[0] == "text/html"
    assert await fetched(certificates, b"HTTP/1.1 200 OK\r\n\r\nhi") == ("", b"hi")


async def test_a_header_that_is_too_long_is_refused_and_one_that_fits_is_not(certificates: TestCertificates) -> None:
    filler = b"X-Filler: " + b"y" * 1000 + b"\r\n"
    fits = HEAD + filler * (HEAD_OCTETS // len(filler) - 1) + b"\r\nhello"
    assert (await fetched(certificates, fits))[1] == b"hello"
    with pytest.raises(MisuseError, match="endless header"):
        await fetched(certificates, HEAD + filler * (5 * HEAD_OCTETS // len(filler)) + b"\r\nhello")


async def test_a_chunk_can_hold_what_looks_like_the_end(certificates: TestCertificates) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for record in (1, 16_384):
        found = await fetched(certificates, chunked + b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", record=record)
        assert found[1] == b"0\r\n\r\n"


async def test_all_addresses_are_tried_in_their_order_and_the_last_reason_is_told(certificates: TestCertificates) -> None:
    (nobody,) = free_ports(1)
    with HttpsServer(certificates.server, HEAD + b"\r\nhello") as web:
        addresses = [("127.0.0.1", nobody), ("127.0.0.1", web.port)]
        assert (await get("mta-sts.far.example", PATH, addresses, certificates.client(), most_octets=1000, timeout_s=5))[1] == b"hello"
    with pytest.raises(PeerGone, match="refused"):
        await get("mta-sts.far.example", PATH, addresses[:1], certificates.client(), most_octets=1000, timeout_s=5)
    with pytest.raises(PeerGone, match="no address"):
        await get("mta-sts.far.example", PATH, [], certificates.client(), most_octets=1000, timeout_s=5)


async def test_the_whole_takes_no_longer_than_it_may(certificates: TestCertificates) -> None:
    with HttpsServer(certificates.server, HEAD + b"Content-Length: 9\r\n\r\nhel", stays=True) as web, pytest.raises(PeerError):
        await get("mta-sts.far.example", PATH, [("127.0.0.1", web.port)], certificates.client(), most_octets=1000, timeout_s=0.5)


async def test_a_silent_address_leaves_time_for_the_next(certificates: TestCertificates) -> None:
    deaf = socket()  # accepts nothing more once its queue of one is full
    deaf.bind(("127.0.0.7", 0))
    deaf.listen(0)
    port = deaf.getsockname()[1]
    waiting = [socket() for _ in range(2)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.7", port))
    with HttpsServer(certificates.server, HEAD + b"\r\nhello", port=port):
        found = await get(
            "mta-sts.far.example", PATH, [("127.0.0.7", port), ("127.0.0.1", port)], certificates.client(),
            most_octets=1000, timeout_s=5, connect_s=0.2,
        )  # fmt: skip
    for one in (deaf, *waiting):
        one.close()
    assert found == ("text/plain", b"hello")


async def posted(certificates: TestCertificates, octets: bytes, **words: Any) -> tuple[int, dict[str, str]]:
    with HttpsServer(certificates.server, octets, **words) as web:
        stream = await dial("127.0.0.1", web.port, timeout_s=5)
        await stream.start_tls_as_client(certificates.client(), "mta-sts.far.example")
        found = await post(stream, "far.example", "/a?b=c", [("TTL", "60")], b"hello", timeout_s=5)
        assert web.asked == b"POST /a?b=c HTTP/1.1\r\nHost: far.example\r\nContent-Length: 5\r\nConnection: close\r\nTTL: 60\r\n\r\nhello"
        return found


@pytest.mark.parametrize("record", [1, 16_384])
async def test_a_post_tells_status_and_fields(certificates: TestCertificates, record: int) -> None:
    assert await posted(certificates, b"HTTP/1.1 201 Created\r\nLocation: /x\r\n\r\nbody", record=record) == (201, {"location": "/x"})
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n"
    assert await posted(certificates, octets, record=record) == (429, {"retry-after": "7"})


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 201 Created\r\n", b"HTTP/1.1\r\n\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 2000 x\r\n\r\n"])
async def test_a_post_without_a_response_is_an_error(certificates: TestCertificates, octets: bytes) -> None:
    with pytest.raises((PeerError, MisuseError)):
        await posted(certificates, octets)


async def test_a_response_to_a_post_that_never_ends_is_not_read(certificates: TestCertificates) -> None:
    assert (await posted(certificates, b"HTTP/1.1 200 OK\r\n\r\n", endless=True))[0] == 200
    with pytest.raises(MisuseError):
        await posted(certificates, b"HTTP/1.1 200 OK\r\n", endless=True)
