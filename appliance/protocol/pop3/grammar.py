"""POP3's command lines and response lines (RFC 1939 §3, RFC 2449 §4).

`parse_command` takes one line without its end; MisuseError carries the text for the client. Keywords are matched
without regard to case; arguments are separated by one space; USER and PASS take the rest of the line as it is, since
a password may contain spaces (RFC 1939 §7).
"""

from dataclasses import dataclass, field

from appliance.mail.errors import MisuseError

WHOLE_LINE = frozenset({b"USER", b"PASS"})
KEYWORD_OCTETS = 16
NUMBER_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Pop3Command:
    """`verb` in upper case; arguments are never empty. They may be secrets, so repr omits them."""

    verb: bytes
    arguments: tuple[bytes, ...] = field(default=(), repr=False)


def parse_command(line: bytes) -> Pop3Command:
    """One command line, CRLF removed. Raises MisuseError."""
    verb, space, rest = line.partition(b" ")
    verb = verb.upper()
    if not verb.isalnum() or len(verb) > KEYWORD_OCTETS:
        raise MisuseError("Not a command.")
    if b"\0" in rest:
        raise MisuseError("A command cannot contain NUL.")
    if not space:
        return Pop3Command(verb)
    if verb in WHOLE_LINE:
        return Pop3Command(verb, (rest,) if rest else ())
    arguments = tuple(rest.rstrip(b" ").split(b" "))
    if arguments == (b"",):
        return Pop3Command(verb)
    if b"" in arguments:
        raise MisuseError("Arguments are separated by one space.")
    return Pop3Command(verb, arguments)


def parse_number(octets: bytes) -> int:
    """A message number or a count of lines. Raises MisuseError."""
    if not octets.isdigit() or len(octets) > NUMBER_DIGITS:
        raise MisuseError("A number is required.")
    return int(octets)


def parse_text(octets: bytes) -> str:
    """A name or password in UTF-8 (RFC 6856 §2.2). Raises MisuseError."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MisuseError("Names and passwords are written in UTF-8.") from None


def ok(text: str = "") -> bytes:
    """A positive response line."""
    return f"+OK {text}\r\n".encode() if text else b"+OK\r\n"


def err(text: str, code: str = "") -> bytes:
    """A negative response line; `code` is a response code such as "IN-USE" (RFC 2449 §8)."""
    return f"-ERR [{code}] {text}\r\n".encode() if code else f"-ERR {text}\r\n".encode()
