"""network/dial: connections out, and why there is none, in words."""

import errno
import socket
import ssl
from contextlib import closing

import pytest
import trio

from appliance.mail.errors import PeerGone, PeerSlow
from appliance.network.dial import GREETING_OCTETS, any_certificate, dial, no_route_out, read_greeting
from tests.support.certificates import make_certificates
from tests.support.peer import DROP, SILENT, Peer
from tests.support.server import free_ports


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificates(tmp_path_factory.mktemp("certificates")).server)
    return context


NOWHERE = "255.255.255.255"
"""Connecting there is ENETUNREACH on every Linux."""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_connection_knows_both_its_ends(host: str) -> None:
    with Peer(host=host) as peer:
        stream = await dial(host, peer.port, timeout_s=5)
        assert (stream.peer_host, stream.peer_port, stream.local_host) == (host, peer.port, host) and stream.local_port != peer.port
        assert (await stream.receive(5)).startswith(b"220 ")
        await stream.aclose()


async def test_refused_is_gone_with_the_reason_and_not_for_want_of_a_route() -> None:
    (port,) = free_ports(1)
    with pytest.raises(PeerGone, match=r"127\.0\.0\.1: Connection refused") as caught:
        await dial("127.0.0.1", port, timeout_s=5)
    assert not no_route_out(caught.value)


async def test_no_route_is_told_apart() -> None:
    with pytest.raises(PeerGone) as caught:
        await dial(NOWHERE, 25, timeout_s=5)
    assert no_route_out(caught.value)
    assert not no_route_out(PeerGone("x"))
    for number, ours in ((errno.ENETUNREACH, True), (errno.EHOSTUNREACH, False), (errno.ECONNREFUSED, False), (errno.EAFNOSUPPORT, True)):
        trouble = PeerGone("x")
        trouble.__context__ = OSError(number, "x")
        assert no_route_out(trouble) is ours


async def test_a_host_that_never_answers_is_slow_and_leaves_no_socket() -> None:
    """A queue of one that is full: the kernel drops further SYNs."""
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.9", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        with pytest.raises(PeerSlow, match=r"127\.0\.0\.9 did not answer within 0\.2 s"):
            await dial("127.0.0.9", deaf.getsockname()[1], timeout_s=0.2)
        for one in waiting:
            one.close()


async def test_a_cancelled_dial_closes_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = trio.socket.socket

    def keep(*words: int) -> trio.socket.SocketType:
        opened.append(real(*words))
        return opened[-1]

    monkeypatch.setattr(trio.socket, "socket", keep)
    (port,) = free_ports(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await dial("127.0.0.1", port, timeout_s=60)
    assert scope.cancelled_caught and [one.fileno() for one in opened] == [-1]


@pytest.mark.parametrize("tls", [False, True])
async def test_a_greeting_is_read_whatever_the_certificate(server_tls: ssl.SSLContext, tls: bool) -> None:
    """Implicit TLS of a server whose certificate nobody issued: the question is whether it is there (RFC 7435 §3)."""
    with Peer(host="127.0.0.1", context=server_tls, implicit_tls=tls) as peer:
        assert (await read_greeting("127.0.0.1", peer.port, timeout_s=10, tls=tls)).startswith(b"220 ")


async def test_a_server_that_closes_at_once_said_nothing() -> None:
    with Peer(host="127.0.0.1", script={"greeting": DROP}) as peer:
        assert await read_greeting("127.0.0.1", peer.port, timeout_s=5) == b""


async def test_silence_is_slow_and_what_is_read_is_bounded() -> None:
    with Peer(host="127.0.0.1", script={"greeting": SILENT}) as peer, pytest.raises(PeerSlow):
        await read_greeting("127.0.0.1", peer.port, timeout_s=0.3)
    with Peer(host="127.0.0.1", script={"greeting": "220 " + "x" * 5000}) as peer:
        assert len(await read_greeting("127.0.0.1", peer.port, timeout_s=5)) <= GREETING_OCTETS


def test_opportunistic_tls_verifies_nothing_and_is_not_older_than_1_2() -> None:
    context = any_certificate()
    assert context.verify_mode is ssl.CERT_NONE and not context.check_hostname and context.minimum_version is ssl.TLSVersion.TLSv1_2
