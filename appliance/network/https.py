"""HTTPS GET of one small document, such as an MTA-STS policy, and POST of one: no redirects, everything bounded (RFC 9112, RFC 8461 §3.3).

How it fails: PeerError or MisuseError with a sentence; what was read until then is discarded.
"""

import ssl
from collections.abc import Sequence

import trio

from appliance.mail.errors import MisuseError, PeerError, PeerGone, PeerSlow

from .dial import dial
from .stream import Stream

CONNECT_S = 10.0
"""For one address: a silent one leaves time for the others."""
HEAD_OCTETS = 16 * 2**10
CHUNKS = 1000
CHUNK_LINE_OCTETS = 100
"""A line with a chunk's size; nobody needs extensions there."""


class ResponseEnded(PeerGone):
    """The server has closed the connection in order."""


async def get(
    host: str,
    path: str,
    addresses: Sequence[tuple[str, int]],
    context: ssl.SSLContext,
    *,
    most_octets: int,
    timeout_s: float,
    connect_s: float = CONNECT_S,
) -> tuple[str, bytes]:
    """(media type, body) of a 200 response of `host` from the first of `addresses`, each with its port, that answers.

    The certificate must be the host's. `connect_s` is for one address, `timeout_s` for all of it.
    """
    trouble: PeerError = PeerGone(f"{host} has no address")
    with trio.move_on_after(timeout_s):
        for address, port in addresses:
            try:
                stream = await dial(address, port, timeout_s=min(connect_s, timeout_s), protocol="https")
                return await _get(stream, host, path, context, most_octets, timeout_s)
            except PeerError as error:
                trouble = error
        raise trouble
    raise PeerGone(f"{host} took too long")


async def post(
    stream: Stream, host: str, target: str, fields: Sequence[tuple[str, str]], body: bytes, *, timeout_s: float
) -> tuple[int, dict[str, str]]:
    """Status and header fields of the response (what follows them is not read). `stream`: connected, over TLS; closed afterwards."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fields]
    try:
        with trio.move_on_after(timeout_s):
            await stream.send("\r\n".join((*lines, "", "")).encode("ascii") + body)
            head, rest = await _head(stream, host, b"", timeout_s)
            while _status(head, host) < 200:  # interim responses (RFC 9110 §15.2)
                head, rest = await _head(stream, host, rest, timeout_s)
            return _status(head, host), _fields(head)
        raise PeerSlow(f"{host} took too long")
    finally:
        with trio.move_on_after(1, shield=True):
            await stream.aclose()


async def _get(stream: Stream, host: str, path: str, context: ssl.SSLContext, most_octets: int, timeout_s: float) -> tuple[str, bytes]:
    """On a connected stream, which is closed afterwards."""
    try:
        await stream.start_tls_as_client(context, host)
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n".encode())
        head, body = await _head(stream, host, b"", timeout_s)
        if _status(head, host) != 200:
            raise MisuseError(f"{host} answers {head[:80]!a}")
        fields = _fields(head)
        chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        length = fields.get("content-length", "")
        while not _complete(body, chunked, length):
            if len(body) > most_octets:
                raise MisuseError(f"{host} sends more than {most_octets} octets")
            try:
                body += await _more(stream, timeout_s)
            except ResponseEnded:
                if chunked or length:
                    raise
                break  # without a length close_notify ends the body; a cut connection does not (RFC 9112 §9.8)
        body = (_dechunked(body) or b"") if chunked else body[: int(length)] if length.isdecimal() else body
        if len(body) > most_octets:
            raise MisuseError(f"{host} sends more than {most_octets} octets")
        return fields.get("content-type", "").partition(";")[0].strip().lower(), body
    finally:
        with trio.move_on_after(1, shield=True):
            await stream.aclose()


async def _more(stream: Stream, timeout_s: float) -> bytes:
    octets = await stream.receive(timeout_s)
    if not octets:
        raise ResponseEnded("the connection ended")
    return octets


async def _head(stream: Stream, host: str, octets: bytes, timeout_s: float) -> tuple[bytes, bytes]:
    """The next header of a response, and what came after it."""
    while b"\r\n\r\n" not in octets:
        if len(octets) > HEAD_OCTETS:
            raise MisuseError(f"{host} sends an endless header")
        octets += await _more(stream, timeout_s)
    head, _, rest = octets.partition(b"\r\n\r\n")
    return head, rest


def _status(head: bytes, host: str) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not (words[1].isdigit() and len(words[1]) == 3):
        raise MisuseError(f"{host} answers {head[:80]!a}")
    return int(words[1])


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _complete(body: bytes, chunked: bool, length: str) -> bool:
    if chunked:
        return _dechunked(body) is not None
    return length.isdecimal() and len(length) < 10 and len(body) >= int(length)


def _dechunked(body: bytes) -> bytes | None:
    """The octets of all chunks; None as long as the last one has not come (RFC 9112 §7.1)."""
    out, at = b"", 0
    for _ in range(CHUNKS):
        line, found, _ = body[at:].partition(b"\r\n")
        if not found:
            if len(line) > CHUNK_LINE_OCTETS:
                break
            return None
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            size = -1
        if size < 0:
            break
        at += len(line) + 2
        if not size:
            return out
        if len(body) < at + size + 2:
            return None
        out += body[at : at + size]
        at += size + 2
    raise MisuseError("the chunks of the response are malformed")
