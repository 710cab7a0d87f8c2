"""Recognise clients that speak another protocol on a mail port: HTTP, RTSP, SIP, SSH, or TLS on a plain port.

A web page can make a browser send any request, with any header lines and body, to any port (cross-protocol request
forgery). The request line is an invalid command to a mail server, but mail commands hidden in the header or body would be
executed next. So a server that recognises such a client sends a permanent error and closes; RFC 5321 §7.8 permits
such defences. Pure functions of the first octets of a command; linear in the line, no state.
"""

import re

TLS_HELLOS = (b"\x16\x03", b"\x80")
"""First octets of a TLS record with a handshake message (RFC 8446 §5.1) and of an SSL 2.0 ClientHello: no command begins with them."""
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"})
"""Request methods (RFC 9110 §9.3, RFC 5789) and the first word of HTTP/2's preface (RFC 9113 §3.4)."""
_REQUEST = re.compile(rb"(?:\A|[ \t])(HTTP|RTSP|SIP)/[0-9][0-9.]*[ \t\r\n]*\Z")
"""The end of a request line (RFC 9112 §3)."""
_FIRST_WORD = re.compile(rb"(SSH(?=-[0-9]+\.[0-9]+-)|(?:HTTP|RTSP|SIP)(?=/[0-9]))")
"""SSH's identification string (RFC 4253 §4.2) or the status line of a response."""
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_TARGET = re.compile(rb"[^A-Za-z0-9.-]")


def is_tls(octets: bytes) -> bool:
    """True when the octets begin a TLS handshake. Pass at least the first two octets if that many have arrived."""
    return octets.startswith(TLS_HELLOS)


def foreign_protocol(line: bytes) -> str:
    """The protocol that this command line belongs to, "" when it may be a mail command.

    For servers whose commands begin with a verb (SMTP, POP3), where no verb is an HTTP method.
    """
    if is_tls(line):
        return "TLS"
    found = _FIRST_WORD.match(line) or _REQUEST.search(line)
    if found is not None:
        return found[1].decode("ascii")
    word = line.split(b" ", 1)[0].split(b"\t", 1)[0].rstrip(b"\r")
    return "HTTP" if word.upper() in METHODS else ""


def foreign_tagged(line: bytes) -> str:
    """`foreign_protocol` for IMAP, where a tag may be any word: `GET NOOP` is a command, `GET /index.html` is a request."""
    word, _, rest = line.partition(b" ")
    if word.upper() in METHODS and _REQUEST.search(line) is None and _TARGET.search(rest.strip().split(b" ", 1)[0]) is None:
        return ""
    return foreign_protocol(line)


def is_header_field(line: bytes) -> bool:
    """True for a header field of a request or message (`Host: x`): no SMTP command has a colon right after its verb.

    Before EHLO this catches requests with an unknown method; later it may be a message sent although DATA was refused.
    """
    return _FIELD.match(line) is not None


def words_for(protocol: str) -> str:
    """The error text sent to the client."""
    if protocol == "TLS":
        return "This port starts without TLS, but you started a TLS handshake. Goodbye."
    return f"This is a mail server, but you speak {protocol}. Goodbye."
