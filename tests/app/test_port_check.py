"""app/port_check on real sockets: open, silent, another protocol, closed, and implicit TLS."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from appliance.app.port_check import OUTSIDE, check, findings_text, listener_probe
from appliance.status.snapshot import ListenerFacts
from tests.support.certificates import make_certificates
from tests.support.server import free_ports

Talk = Callable[[trio.abc.Stream], Awaitable[None]]


def says(words: bytes) -> Talk:
    async def talk(stream: trio.abc.Stream) -> None:
        await stream.send_all(words)
        await stream.receive_some()

    return talk


async def silent(stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def one_listener(nursery: trio.Nursery, protocol: str, talk: Talk, tls: Path | None = None) -> ListenerFacts:
    """A server with one listener."""
    if tls is not None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        (listener,) = await nursery.start(partial(trio.serve_ssl_over_tcp, talk, 0, context, host="127.0.0.1"))
        port = listener.transport_listener.socket.getsockname()[1]
    else:
        (listener,) = await nursery.start(partial(trio.serve_tcp, talk, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
    return ListenerFacts(protocol, "127.0.0.1", port, "")


async def test_every_kind_of_listener(tmp_path: Path) -> None:
    certificate = make_certificates(tmp_path).server
    async with trio.open_nursery() as nursery:
        listeners = [
            await one_listener(nursery, "smtp", says(b"220 box ESMTP\r\n")),
            await one_listener(nursery, "imaps", says(b"* OK ready\r\n"), certificate),
            await one_listener(nursery, "pop3s", says(b"+OK\r\n")),  # no TLS there
            await one_listener(nursery, "submission", says(b"SSH-2.0-other\r\n")),
            await one_listener(nursery, "imap", silent),
            ListenerFacts("pop3", "127.0.0.1", free_ports(1)[0], ""),
            await one_listener(nursery, "smtp", says(b"")),
        ]
        with trio.fail_after(10):
            found = await check([listener_probe(one, patience_s=1.0) for one in listeners])
        nursery.cancel_scope.cancel()
    assert [one.state for one in found] == ["open", "open", "closed", "closed", "closed", "closed", "closed"]
    text = findings_text(found).splitlines()
    assert text[0].startswith(f"open     smtp         127.0.0.1:{listeners[0].port}")
    assert "TLS" in text[2] and "greet" in text[3] and "refused" in text[5] and "connecting" not in text[5] and text[-1] == OUTSIDE


async def test_a_listener_on_every_address_is_probed_on_loopback() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, says(b"220 box\r\n"), 0, host="0.0.0.0"))
        port = listener.socket.getsockname()[1]
        (found,) = await check([listener_probe(ListenerFacts("smtp", "0.0.0.0", port, ""))])
        nursery.cancel_scope.cancel()
    assert found.state == "open" and found.where == f"0.0.0.0:{port}"
