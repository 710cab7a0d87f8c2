"""SCRAM on the three servers: every failure of an exchange is answered at once, and the session goes on (RFC 5802 §5.1)."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.support.services import ACCOUNTS, PASSWORD, some_components
from tests.support.streams import ClientStream

from .scram_client import ScramClient

SERVERS = {
    "imap": (b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n", b"a NO", b"a BAD", b"a OK", b"b NOOP\r\n", b"b OK"),
    "pop3": (b"AUTH SCRAM-SHA-256 %b\r\n", b"-ERR [AUTH]", b"-ERR", b"+OK", b"NOOP\r\n", b"+OK"),
    "submission": (b"AUTH SCRAM-SHA-256 %b\r\n", b"535", b"501", b"235", b"NOOP\r\n", b"250"),
}


class Wire:
    """Lines both ways; a challenge comes without its prefix, decoded from base64."""

    def __init__(self, stream: ClientStream) -> None:
        self._stream = stream
        self._held = b""

    async def line(self) -> bytes:
        with trio.fail_after(5):  # far below the minute a server grants a silent client
            while b"\r\n" not in self._held:
                more = await self._stream.receive_some()
                assert more, "the server closed"
                self._held += more
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    async def challenge(self) -> bytes:
        line = await self.line()
        prefix, _, octets = line.partition(b" ")
        assert prefix in (b"+", b"334"), line
        return b64decode(octets)

    async def send(self, octets: bytes) -> None:
        await self._stream.send_all(octets)

    async def greeted(self, protocol: str) -> "Wire":
        await self.line()
        if protocol == "submission":
            await self.send(b"EHLO client.example\r\n")
            while not (await self.line()).startswith(b"250 "):
                pass
        return self


def _honest(client: ScramClient, server_first: bytes) -> bytes:
    return b64encode(client.final(server_first))


FINALS: list[tuple[str, str, Callable[[ScramClient, bytes], bytes]]] = [
    ("wrong password", "refused", _honest),
    ("empty", "refused", lambda client, first: b""),
    ("no proof", "refused", lambda client, first: b64encode(client.final(first).partition(b",p=")[0])),
    ("another nonce", "refused", lambda client, first: b64encode(client.final(first).replace(b"r=client", b"r=cliend"))),
    ("another binding", "refused", lambda client, first: b64encode(client.final(first).replace(b"c=biws", b"c=eSws"))),
    ("first again", "refused", lambda client, first: b64encode(client.first())),
    ("cancelled", "misused", lambda client, first: b"*"),
    ("no base64", "misused", lambda client, first: b"%%%"),
]


@pytest.mark.parametrize(("name", "kind", "final"), FINALS, ids=[row[0] for row in FINALS])
@pytest.mark.parametrize("protocol", SERVERS)
async def test_a_bad_final_message(
    tmp_path: Path, protocol: str, name: str, kind: str, final: Callable[[ScramClient, bytes], bytes]
) -> None:
    begin, refused, misused, _, noop, fine = SERVERS[protocol]
    async with some_components(tmp_path) as components:
        wire = await Wire(components.connect(protocol)).greeted(protocol)
        client = ScramClient(ACCOUNTS[0], "wrong" if name == "wrong password" else PASSWORD)
        await wire.send(begin % b64encode(client.first()))
        await wire.send(final(client, await wire.challenge()) + b"\r\n")
        assert (await wire.line()).startswith(refused if kind == "refused" else misused)
        if protocol != "pop3":  # POP3 has NOOP only after signing in
            await wire.send(noop)
            assert (await wire.line()).startswith(fine)
        await _signs_in(wire, protocol)


@pytest.mark.parametrize("first", [b"", b"n,,", b"y", b"n,,n=fred", b"p=tls-unique,,n=fred,r=c", b"n,,m=x,n=fred,r=c"])
@pytest.mark.parametrize("protocol", SERVERS)
async def test_a_bad_first_message(tmp_path: Path, protocol: str, first: bytes) -> None:
    begin, refused = SERVERS[protocol][:2]
    async with some_components(tmp_path) as components:
        wire = await Wire(components.connect(protocol)).greeted(protocol)
        await wire.send(begin % (b64encode(first) or b"="))
        assert (await wire.line()).startswith(refused)
        await _signs_in(wire, protocol)


@pytest.mark.parametrize("protocol", SERVERS)
async def test_octets_after_the_success(tmp_path: Path, protocol: str) -> None:
    """The server's last message expects an empty response; a client that sends more is not signed in."""
    begin, refused = SERVERS[protocol][:2]
    async with some_components(tmp_path) as components:
        wire = await Wire(components.connect(protocol)).greeted(protocol)
        client = ScramClient(ACCOUNTS[0], PASSWORD)
        await wire.send(begin % b64encode(client.first()))
        await wire.send(_honest(client, await wire.challenge()) + b"\r\n")
        assert client.proves(await wire.challenge())
        await wire.send(b64encode(b"more") + b"\r\n")
        assert (await wire.line()).startswith(refused)
        await _signs_in(wire, protocol)


async def _signs_in(wire: Wire, protocol: str) -> None:
    begin, _, _, signed_in, *_ = SERVERS[protocol]
    client = ScramClient(ACCOUNTS[0], PASSWORD)
    await wire.send(begin % b64encode(client.first()))
    await wire.send(_honest(client, await wire.challenge()) + b"\r\n")
    assert client.proves(await wire.challenge())
    await wire.send(b"\r\n")
    assert (await wire.line()).startswith(signed_in)
