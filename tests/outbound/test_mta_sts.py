"""MTA-STS: records, policies, names, and what is believed how long (RFC 8461)."""

import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR, create_server, socket
from typing import Any

import pytest

from appliance.certificates.contents import wanted
from appliance.mail.errors import LookupTrouble, MisuseError, PeerError, PeerGone
from appliance.network.https import get
from appliance.network.resolver import DnsAnswer, Found
from appliance.network.tls_end import require_close_notify
from appliance.outbound.mta_sts import LONGEST_S, PATH, StsPolicies, StsPolicy, fetcher, matches, parse_policy, parse_record
from tests.support.accounts import a_family
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.clock import HandClock
from tests.support.names import a_name_server, resolver_of

from .test_mx import spoil

ENFORCE = b"version: STSv1\r\nmode: enforce\r\nmx: mail.far.example\r\nmx: *.mx.far.example\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((b"v=STSv1; id=20160831085700Z;",), "20160831085700Z"),  # RFC 8461 §3.1
        ((b"v=STSv1;id=a1",), "a1"), ((b"v=STSv1 ; id=a1 ; other=x",), "a1"), ((b"v=spf1 -all", b"v=STSv1; id=1;"), "1"),
        ((), None), ((b"v=STSv1; id=1", b"v=STSv1; id=2"), None), ((b"v=STSv1",), None), ((b"v=STSv1; id=",), None),
        ((b"v=STSv1; id=" + b"a" * 33,), None), ((b"v=STSv1; id=a-b",), None), ((b"v=STSv2; id=1",), None), ((b"id=1; v=STSv1",), None),
        ((b"\xff\xfe",), None), ((b"v=STSv1; id=1; id=2",), "1"), ((b"v=STSv12; id=1",), None),
    ],
)  # fmt: skip
def test_records(values: tuple[bytes, ...], name: str | None) -> None:
    assert parse_record(values) == name


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (ENFORCE, StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (ENFORCE.replace(b"\r\n", b"\n"), StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (ENFORCE + b"x-new: y\r\n\r\n", StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (b"version:STSv1\nmode:none\nmax_age:1", StsPolicy("none", (), 1)),
        (b"version: STSv1\nmode: testing\nmx: A.Example.\nmax_age: 9999999999", StsPolicy("testing", ("a.example",), LONGEST_S)),
        (b"version: STSv1\nmode: none\nmode: enforce\nmax_age: 1", StsPolicy("none", (), 1)),
    ],
)
def test_policies(text: bytes, policy: StsPolicy) -> None:
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff", ENFORCE.replace(b"STSv1", b"STSv2"), ENFORCE.replace(b"enforce", b"strict"), ENFORCE.replace(b"604800", b"-1"),
        ENFORCE.replace(b"604800", b"many"), b"version: STSv1\nmode: enforce\nmax_age: 1", ENFORCE + b"nonsense\r\n",
        ENFORCE.replace(b"*.mx", b"*mx"), ENFORCE + b"mx: a.*.example\r\n", ENFORCE + b"mx: x.example\r\n" * 200,
        ENFORCE.replace(b"max_age: 604800", b"max_age: \xd9\xa3"),
    ],
)  # fmt: skip
def test_invalid_policies(text: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_policy(text)


@pytest.mark.parametrize(
    ("pattern", "host", "so"),
    [
        ("mail.example", "mail.example", True), ("mail.example", "MAIL.example.", True), ("mail.example", "x.mail.example", False),
        ("*.example", "mail.example", True), ("*.example", "a.mail.example", False), ("*.example", "example", False),
        ("*.example", ".example", False), ("mail.example", "mail.example.evil", False),
    ],
)  # fmt: skip
def test_names(pattern: str, host: str, so: bool) -> None:
    assert matches(pattern, host) is so


class Names:
    def __init__(self) -> None:
        self.record: bytes | None = b"v=STSv1; id=1"
        self.silent = False

    async def txt(self, name: str) -> DnsAnswer[bytes]:
        assert name == "_mta-sts.far.example"
        if self.silent:
            raise LookupTrouble("silence")
        return DnsAnswer((self.record,), Found.YES, False) if self.record else DnsAnswer((), Found.NO_NAME, False)


class World:
    """A web server that says what the test wants."""

    def __init__(self, database: Any) -> None:
        self.names, self.clock, self.database = Names(), HandClock(), database
        self.says: tuple[str, bytes] | Exception = ("text/plain", ENFORCE)
        self.fetched = 0
        self.policies = self.anew()

    def anew(self) -> StsPolicies:
        self.policies = StsPolicies(names=self.names, database=self.database, clock=self.clock, fetch=self.fetch)  # type: ignore[arg-type]
        return self.policies

    async def fetch(self, domain: str) -> tuple[str, bytes]:
        self.fetched += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def mode(self) -> str:
        policy = await self.policies.of("far.example")
        return policy.mode if policy else ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with a_family(tmp_path, failure_s=0.0) as family:
        yield World(family.writer)


async def test_a_policy_is_fetched_once_and_valid_until_it_expires(world: World) -> None:
    assert [await world.mode(), await world.mode()] == ["enforce", "enforce"] and world.fetched == 1
    world.anew()
    world.names.silent = True
    assert await world.mode() == "enforce", "kept in the database, whatever happens to the record (§5.1)"
    world.names.silent, world.names.record = False, None
    assert await world.mode() == "enforce"
    world.clock.forward(604_801)
    assert await world.mode() == ""
    assert world.fetched == 1


async def test_a_new_id_brings_a_new_policy_and_a_failed_fetch_keeps_the_old(world: World) -> None:
    assert await world.mode() == "enforce"
    world.names.record, world.says = b"v=STSv1; id=2", PeerGone("gone")
    world.clock.forward(400)
    assert await world.mode() == "enforce" and world.fetched == 2
    assert await world.mode() == "enforce" and world.fetched == 2, "not again at once"
    world.clock.forward(400)
    world.says = ("text/plain", ENFORCE.replace(b"enforce", b"testing"))
    assert await world.mode() == "testing" and world.fetched == 3


@pytest.mark.parametrize("says", [PeerGone("x"), MisuseError("x"), LookupTrouble("x"), ("text/html", ENFORCE), ("text/plain", b"junk")])
async def test_without_a_policy_a_failed_fetch_is_none(world: World, says: Any) -> None:
    world.says = says
    assert await world.mode() == ""


# --- the fetch over real TLS ------------------------------------------------------------------------


class Web:
    """Answers each connection with `octets` over TLS, in pieces; `endless` never stops, `cut` ends without close_notify."""

    def __init__(self, certificate: Path, octets: bytes, *, endless: bool = False, cut: bool = False, port: int = 0) -> None:
        self.port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._octets, self._endless, self._cut = octets, endless, cut
        self.asked = b""

    def __enter__(self) -> "Web":
        self._listener = create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
                    self._answer(sock)

    def _answer(self, sock: socket) -> None:
        self.asked = sock.recv(4096)
        sock.sendall(self._octets)
        while self._endless:
            sock.sendall(b"x: y\r\n" * 1000)
        if self._cut:
            sock.shutdown(SHUT_RDWR)
            return
        with suppress(OSError):
            sock.unwrap() if isinstance(sock, ssl.SSLSocket) else None


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCertificates]:
    yield make_certificates(tmp_path_factory.mktemp("web"), wanted("box", ["mta-sts.far.example"], []))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


async def fetched(certificates: TestCertificates, octets: bytes, host: str = "mta-sts.far.example", **words: Any) -> tuple[str, bytes]:
    with Web(certificates.server, octets, **words) as web:
        found = await get(
            host, PATH, [("127.0.0.1", web.port)], require_close_notify(certificates.client()), most_octets=1000, timeout_s=5,
        )  # fmt: skip
        assert web.asked.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.far.example\r\n")
        return found


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhello", HEAD + b"\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\nhello and more",
    ],
)  # fmt: skip
async def test_documents_in_every_framing(certificates: TestCertificates, octets: bytes) -> None:
    assert await fetched(certificates, octets) == ("text/plain", b"hello")


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


async def test_the_fetcher_finds_the_web_server_by_name(certificates: TestCertificates) -> None:
    class Addresses:
        async def a(self, name: str) -> DnsAnswer[str]:
            assert name == "mta-sts.far.example"
            return DnsAnswer(("127.0.0.1",), Found.YES, False)

        async def aaaa(self, name: str) -> DnsAnswer[str]:
            return DnsAnswer((), Found.NO_DATA, False)

    with Web(certificates.server, HEAD + b"\r\n" + ENFORCE) as web:
        fetch = fetcher(Addresses(), certificates.client, web.port)  # type: ignore[arg-type]
        assert parse_policy((await fetch("far.example"))[1]).mode == "enforce"


@pytest.mark.parametrize("how", ["SERVFAIL", "NOTIMP", "REFUSED", "silence", "truncated"])
async def test_a_dns_query_without_an_answer_does_not_hide_the_policy(certificates: TestCertificates, how: str) -> None:
    async with a_name_server() as server:
        spoil(server, "mta-sts.far.example AAAA", how)
        server.add("mta-sts.far.example", "A", "127.0.0.1")
        with Web(certificates.server, HEAD + b"\r\n" + ENFORCE) as web:
            fetch = fetcher(resolver_of(server), certificates.client, web.port)
            assert parse_policy((await fetch("far.example"))[1]).mode == "enforce"


async def test_a_silent_address_leaves_time_for_the_next(certificates: TestCertificates) -> None:
    deaf = socket()  # accepts nothing more once its queue of one is full
    deaf.bind(("127.0.0.7", 0))
    deaf.listen(0)
    port = deaf.getsockname()[1]
    waiting = [socket() for _ in range(2)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.7", port))
    with Web(certificates.server, HEAD + b"\r\nhello", port=port):
        found = await get(
            "mta-sts.far.example", PATH, [("127.0.0.7", port), ("127.0.0.1", port)], certificates.client(),
            most_octets=1000, timeout_s=5, connect_s=0.2,
        )  # fmt: skip
    for one in (deaf, *waiting):
        one.close()
    assert found == ("text/plain", b"hello")
