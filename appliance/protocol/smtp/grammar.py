"""SMTP command lines: verbs, paths and ESMTP parameters (RFC 5321 §4.1.1, §4.1.2).

Strict where leniency would send mail to the wrong place (paths, parameters, line ends), lenient where old programs
are sloppy and nothing depends on it: a space after the colon, a path without angle brackets, any word after EHLO.
A source route (`<@a,@b:user@c>`) is read and ignored, as RFC 5321 §4.1.2 (A-d-l), §3.3 and appendix C ask: a server must
accept the form and should ignore it. Only the mailbox behind the colon counts, so a route never makes this server a relay.
Linear in the line. Fails with MisuseError; its sentence may be shown to the client.
"""

import re
from dataclasses import dataclass

from appliance.mail.address import Address, parse_address, parse_domain
from appliance.mail.errors import MisuseError

_KEYWORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(rb"[\x21-\x3c\x3e-\x7e\x80-\xff]+")
_DIGITS = re.compile(rb"[0-9]{1,20}")
_GREETING_NAME = re.compile(rb"[\x21-\x7e\x80-\xff]{1,255}")
_XTEXT = re.compile(rb"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_XPAIR = re.compile(rb"\+([0-9A-F]{2})")
_ROUTE = re.compile(rb"@(?:\[[^\[\]>]*\]|[^\[\]@,:<>\" ]+)(?:,@(?:\[[^\[\]>]*\]|[^\[\]@,:<>\" ]+))*:")
_ROUTE_DOMAIN = re.compile(rb"@(\[[^\]]*\]|[^\[\]@,:]+)")
VERB_OCTETS = 16
PARAMETERS = 16
"""More than any client sends; a command line has room for a thousand."""


class ParameterMisuse(MisuseError):
    """A parameter after the path is wrong; the address may be fine."""


@dataclass(slots=True)
class CommandLine:
    """`verb` in upper case, `argument` without the blanks around it."""

    verb: bytes
    argument: bytes


@dataclass(slots=True)
class Path:
    """What MAIL FROM or RCPT TO names. `address` is None for `<>`, and for the bare `<postmaster>` when `postmaster`."""

    address: Address | None
    parameters: dict[bytes, bytes | None]
    postmaster: bool = False


def parse_command(line: bytes) -> CommandLine:
    """A command line without its CRLF (RFC 5321 §4.1.1). Raises MisuseError when it does not start with a word."""
    verb, _, argument = line.partition(b" ")
    if not verb.isalpha() or len(verb) > VERB_OCTETS:
        raise MisuseError("a command starts with a word")
    if b"\0" in argument:
        raise MisuseError("a command has no NUL in it")
    return CommandLine(verb.upper(), argument.strip(b" \t"))


def parse_reverse_path(argument: bytes) -> Path:
    """`FROM:<path> [parameters]` (RFC 5321 §4.1.1.2)."""
    path, parameters = _cut_path(argument, b"FROM:")
    return Path(parse_address(path) if path else None, parameters)


def parse_forward_path(argument: bytes) -> Path:
    """`TO:<path> [parameters]`; `<Postmaster>` needs no domain (RFC 5321 §4.1.1.3)."""
    path, parameters = _cut_path(argument, b"TO:")
    if path.lower() == b"postmaster":
        return Path(None, parameters, postmaster=True)
    if not path:
        raise MisuseError("a message cannot go to the empty path")
    return Path(parse_address(path), parameters)


def _cut_path(argument: bytes, keyword: bytes) -> tuple[bytes, dict[bytes, bytes | None]]:
    """The path without its angle brackets, and the parameters behind it."""
    if argument[: len(keyword)].upper() != keyword:
        raise MisuseError(f"write {keyword.decode()}<address>")
    rest = argument[len(keyword) :].lstrip(b" \t")
    if rest[:1] == b"<":
        end = _closing_bracket(rest)
        path, rest = rest[1:end], rest[end + 1 :]
        if rest and rest[:1] not in b" \t":
            raise MisuseError("something follows the closing > without a space")
    else:
        path, _, rest = rest.partition(b" ")
        if not path:
            raise MisuseError("there is no address")
    return _without_route(path), parse_parameters(rest)


def _without_route(path: bytes) -> bytes:
    """The mailbox of a path, its source route left out (RFC 5321 §4.1.2: A-d-l)."""
    if path[:1] != b"@":
        return path
    route = _ROUTE.match(path)
    if route is None or route.end() == len(path):
        raise MisuseError("the source route is malformed; the address alone is enough")
    for domain in _ROUTE_DOMAIN.findall(route[0]):
        try:
            parse_domain(domain.decode())
        except UnicodeDecodeError:
            raise MisuseError("the address is not UTF-8") from None
    return path[route.end() :]


def _closing_bracket(rest: bytes) -> int:
    """Where the path ends; a quoted local part may hold a bracket."""
    route = _ROUTE.match(rest, 1)
    at = route.end() if route else 1
    if rest[at : at + 1] == b'"':
        at += 1
        while at < len(rest) and rest[at] != 0x22:
            at += 2 if rest[at] == 0x5C else 1
    end = rest.find(b">", at)
    if end < 0:
        raise MisuseError("the closing > is missing")
    return end


def parse_parameters(octets: bytes) -> dict[bytes, bytes | None]:
    """ESMTP parameters (RFC 5321 §4.1.2 esmtp-param): upper-case keyword to value, None without one."""
    parameters: dict[bytes, bytes | None] = {}
    for word in octets.replace(b"\t", b" ").split(b" "):
        if not word:
            continue
        keyword, equals, value = word.partition(b"=")
        if not _KEYWORD.fullmatch(keyword) or (equals and not _VALUE.fullmatch(value)):
            raise ParameterMisuse("a parameter is malformed")
        keyword = keyword.upper()
        if keyword in parameters:
            raise ParameterMisuse(f"{keyword.decode()} is given twice")
        if len(parameters) == PARAMETERS:
            raise ParameterMisuse("there are too many parameters")
        parameters[keyword] = value if equals else None
    return parameters


def parse_greeting_name(argument: bytes) -> str:
    """The word after EHLO or HELO, accepted as it is: RFC 5321 §4.1.4 forbids refusing a client for a wrong name.

    Raises MisuseError when there is none; what follows the first word is dropped.
    """
    word = argument.partition(b" ")[0]
    if not _GREETING_NAME.fullmatch(word):
        raise MisuseError("give your host name after EHLO")
    return word.decode("utf-8", "replace")


def parse_chunk(argument: bytes) -> tuple[int, bool]:
    """`BDAT size [LAST]` (RFC 3030 §2): octets that follow, and whether they are the last."""
    size, _, last = argument.partition(b" ")
    last = last.strip().upper()
    if not _DIGITS.fullmatch(size) or last not in (b"", b"LAST"):
        raise MisuseError("write BDAT, a number of octets, and LAST with the last chunk")
    return int(size), last == b"LAST"


def decode_xtext(value: bytes) -> bytes:
    """xtext (RFC 3461 §4). Raises MisuseError."""
    if not _XTEXT.fullmatch(value):
        raise MisuseError("a parameter is not xtext")
    return _XPAIR.sub(lambda pair: bytes((int(pair[1], 16),)), value)


def encode_xtext(octets: bytes) -> bytes:
    return b"".join(bytes((o,)) if 0x21 <= o <= 0x7E and o not in b"+=" else b"+%02X" % o for o in octets)
