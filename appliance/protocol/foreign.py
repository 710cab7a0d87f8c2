"""Recognise clients that speak another protocol on a mail port: HTTP, RTSP, SIP, SSH, or TLS on a plain port.

A web page can make a browser send any request, with any header lines and body, to any port (cross-protocol request
forgery). The request line is a wrong command to a mail server, but mail commands hidden in the header or body would be
obeyed next. So a server that recognises such a client says a permanent error and closes; RFC 5321 §7.8 leaves room for
such defence. Pure functions over the first octets of a command; linear in the line, and no octets are kept.
"""

import re

TLS_HELLOS = (b"\x16\x03", b"\x80")
"""First octets of a TLS record with a handshake message (RFC 8446 §5.1) and of an SSL 2.0 ClientHello: no command begins so."""
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"})
"""Request methods (RFC 9110 §9.3, RFC 5789) and the first word of HTTP/2's preface (RFC 9113 §3.4)."""
_REQUEST = re.compile(rb"(?:\A|[ \t])(HTTP|RTSP|SIP)/[0-9][0-9.]*[ \t\r\n]*\Z")
"""The end of a request line (RFC 9112 §3)."""
_FIRST_WORD = re.compile(rb"(SSH(?=-[0-9]+\.[0-9]+-)|(?:HTTP|RTSP|SIP)(?=/[0-9]))")
"""SSH's first line (RFC 4253 §4.2) or the status line of an answer."""
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:")
_TARGET = re.compile(rb"[^A-Za-z0-9.-]")


def is_tls(octets: bytes) -> bool:
    """Does a command begin with a TLS handshake? Give at least the first two octets when there are as many."""
    return octets.startswith(TLS_HELLOS)


def foreign_protocol(line: bytes) -> str:
    """The protocol this command line belongs to, "" when it may be a mail command.

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
    """Is it a header line of a request or message (`Host: x`)? No SMTP command has a colon right behind its verb.

    Before EHLO this catches requests with a method nobody knows; later it may be a message sent after a refused DATA.
    """
    return _FIELD.match(line) is not None


def words_for(protocol: str) -> str:
    """What the client is told."""
    if protocol == "TLS":
        return "This port begins without TLS, and you began with it. Goodbye."
    return f"This is {protocol}, and here is a mail server. Goodbye."
