"""METADATA: values that clients keep with a mailbox, and with the account, which is the name "" (RFC 5464).

Of a mailbox that several accounts see, /private entries are each account's own and /shared entries the same for all, kept with the
owner's. Shared entries of the server are the administrator's: they are read, never set. The store bounds values, names and the sum of an
account (`store/metadata`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.mail.limits import METADATA_ENTRIES, METADATA_VALUE_OCTETS
from appliance.protocol.imap import encode

from ..commands.mailboxes import read_name
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

ENTRY_OCTETS = 250
ENTRIES_OF_ONE = 200
"""Names in one command."""
ENDLESS = 2**32
"""DEPTH infinity."""


@dataclass(slots=True)
class Wanted:
    """The arguments of GETMETADATA. `depth`: levels below each entry."""

    name: str = ""
    entries: tuple[str, ...] = ()
    most_octets: int | None = None
    depth: int = 0


# --- grammar ---------------------------------------------------------------------------------


def parse_entry(tokens: "Tokens", *, roots: bool = False) -> str:
    """An entry's name: "/private/..." or "/shared/...", in lower case (RFC 5464 §3.2); `roots`: what all entries are below, too."""
    octets = tokens.astring()
    name = octets.decode("ascii", "replace").lower()
    parts = name.split("/")
    if not name.isascii() or not name.isprintable() or any(wildcard in name for wildcard in "*%") or len(octets) > ENTRY_OCTETS:
        raise MisuseError(f"an entry's name is ASCII without * and %, of at most {ENTRY_OCTETS} octets")
    if len(parts) < (2 if roots else 3) or parts[0] or parts[1] not in ("private", "shared") or not all(parts[2:]):
        raise MisuseError("an entry's name begins with /private/ or /shared/")
    return name


def parse_entries(tokens: "Tokens") -> tuple[str, ...]:
    """One entry, or several in parentheses."""
    if tokens.peek() != b"(":
        return (parse_entry(tokens, roots=True),)
    entries = tokens.list_of(lambda: parse_entry(tokens, roots=True))
    if not 0 < len(entries) <= ENTRIES_OF_ONE:
        raise MisuseError(f"between 1 and {ENTRIES_OF_ONE} entries are named")
    return tuple(dict.fromkeys(entries))


def parse_get(tokens: "Tokens") -> Wanted:
    """`[SP "(" options ")"] SP mailbox SP entries`; the options may follow the mailbox, as the RFC's examples have it."""
    wanted = Wanted()
    tokens.space()
    if tokens.peek() == b"(":
        tokens.list_of(lambda: _parse_option(tokens, wanted))
        tokens.space()
    wanted.name = tokens.mailbox()
    tokens.space()
    if any(tokens.begins(b"(" + option) for option in (b"MAXSIZE ", b"DEPTH ", b"maxsize ", b"depth ")):
        tokens.list_of(lambda: _parse_option(tokens, wanted))
        tokens.space()
    wanted.entries = parse_entries(tokens)
    while len(wanted.entries) < ENTRIES_OF_ONE and tokens.accept(b" "):  # as the examples of RFC 5464 §4.4.1 have it
        wanted.entries += (parse_entry(tokens, roots=True),)
    return wanted


def _parse_option(tokens: "Tokens", wanted: Wanted) -> None:
    option = tokens.keyword()
    tokens.space()
    if option == b"MAXSIZE":
        wanted.most_octets = tokens.number()
    elif option == b"DEPTH":
        word = tokens.keyword()
        if word not in (b"0", b"1", b"INFINITY"):
            raise MisuseError("DEPTH is 0, 1 or infinity")
        wanted.depth = ENDLESS if word == b"INFINITY" else int(word)
    else:
        raise MisuseError("GETMETADATA takes MAXSIZE and DEPTH")


def parse_set(tokens: "Tokens") -> "tuple[str, Mapping[str, bytes | None]]":
    """`SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`; NIL removes the entry."""
    name = read_name(tokens)
    tokens.space()
    changes = tokens.list_of(lambda: _parse_change(tokens))
    if not 0 < len(changes) <= ENTRIES_OF_ONE:
        raise MisuseError(f"between 1 and {ENTRIES_OF_ONE} entries are set")
    return name, dict(changes)


def _parse_change(tokens: "Tokens") -> "tuple[str, bytes | None]":
    entry = parse_entry(tokens)
    tokens.space()
    return entry, tokens.literal8() if tokens.peek() == b"~" else tokens.nstring()


# --- responses -------------------------------------------------------------------------------


def metadata_response(session: "CommandSession", name: str, values: "Iterable[tuple[str, bytes | None]]") -> bytes:
    """`* METADATA mailbox (entry value ...)` (RFC 5464 §4.4.1)."""
    pairs = encode.listed(encode.string(entry.encode()) + b" " + _value(value) for entry, value in values)
    return b"* METADATA " + (encode.mailbox(name, session.utf8) if name else b'""') + b" " + pairs + b"\r\n"


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else encode.string(value)


def selected_values(values: "Mapping[str, bytes]", wanted: Wanted) -> "list[tuple[str, bytes | None]]":
    """The values asked for; an entry that is named and has none is NIL."""
    found: dict[str, bytes | None] = {}
    for entry in wanted.entries:
        if entry in values or not wanted.depth:
            found[entry] = values.get(entry)
        levels = entry.count("/")
        below = [name for name in values if name.startswith(entry + "/") and name.count("/") - levels <= wanted.depth]
        found.update((name, values[name]) for name in below)
    return list(found.items())


# --- commands --------------------------------------------------------------------------------


async def get_metadata(session: "CommandSession", wanted: Wanted, uid: bool) -> Completion:
    """Values above MAXSIZE are left out, and the longest is named (RFC 5464 §4.2.1)."""
    values = await session.mailboxes.metadata(wanted.name)
    found = selected_values(values, wanted)
    most = wanted.most_octets
    long = [len(value) for _, value in found if value is not None and most is not None and len(value) > most]
    sent = [(entry, value) for entry, value in found if value is None or most is None or len(value) <= most]
    if sent:
        await session.send(metadata_response(session, wanted.name, sent))
    return ok(b"GETMETADATA completed.", b"METADATA LONGENTRIES %d" % max(long) if long else b"")


async def set_metadata(session: "CommandSession", arguments: "tuple[str, Mapping[str, bytes | None]]", uid: bool) -> Completion:
    """All entries are set or none is (RFC 5464 §4.3)."""
    name, changes = arguments
    if not name and any(entry.startswith("/shared/") for entry in changes):
        return no(b"Shared entries of the server are set by the administrator.", b"NOPERM")
    try:
        await session.mailboxes.set_metadata(name, changes, session.background.watch if session.background is not None else None)
    except StoreError as error:
        if error.trouble is Trouble.TOO_BIG:
            return no(b"A value is too large.", b"METADATA MAXSIZE %d" % METADATA_VALUE_OCTETS)
        if error.trouble is Trouble.TOO_MANY:
            return no(b"There are at most %d entries." % METADATA_ENTRIES, b"METADATA TOOMANY")
        return answer_of(error)
    return ok(b"SETMETADATA completed.")


EXTENSION = ImapExtension(
    name="METADATA",
    rfc="RFC 5464",
    capability=lambda session: (b"METADATA",),
    commands=(
        ImapCommand(b"GETMETADATA", ImapState.SIGNED_IN, parse_get, get_metadata, rfc="RFC 5464 §4.2"),
        ImapCommand(b"SETMETADATA", ImapState.SIGNED_IN, parse_set, set_metadata, rfc="RFC 5464 §4.3"),
    ),
    response_codes=(b"METADATA",),
)
