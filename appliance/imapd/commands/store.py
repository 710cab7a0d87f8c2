"""STORE and UID STORE (RFC 9051 §6.4.6; UNCHANGEDSINCE and MODSEQ: RFC 7162 §3.1.3).

Durable before it is answered. The result is sent by the session's sync, together with what other sessions changed before and
after: each message once and in its current state, so that no client keeps an outdated state. .SILENT is silent about a message only
when the client knew its flags and no other session changed them since.
Messages expunged meanwhile: STORE by number ends with NO [EXPUNGEISSUED] (RFC 2180 §4.2.1), UID STORE skips them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.mail.flags import SYSTEM_NAMES
from appliance.protocol.imap.fetch import parse_modifiers
from appliance.protocol.imap.sequence import encode_set
from appliance.store.values import FlagsResult, Mode

from ..completion import Completion, no, ok
from ..contract import Command, SequenceNumbers, State

if TYPE_CHECKING:
    from appliance.mail.ids import ModSeq
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import Session
    from ..selected import Selected

MODES: dict[bytes, Mode] = {b"FLAGS": Mode.REPLACE, b"+FLAGS": Mode.ADD, b"-FLAGS": Mode.REMOVE}
KNOWN = frozenset(name.lower() for _, name in SYSTEM_NAMES)
KEYWORD_OCTETS = 255
"""Longest keyword; real ones are far shorter."""
GONE = b"Some of the messages have been deleted by another session."


@dataclass(frozen=True, slots=True)
class StoreCommand:
    messages: bytes
    mode: Mode
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None


def parse_store(tokens: "Tokens") -> StoreCommand:
    """`SP set [SP "(" UNCHANGEDSINCE n ")"] SP item SP flags`; flags in parentheses or bare."""
    tokens.space()
    messages = tokens.sequence_set()
    unchanged_since: int | None = None
    for name, value in parse_modifiers(tokens):
        if name != b"UNCHANGEDSINCE" or value is None:
            raise MisuseError(f"STORE knows no modifier {name.decode()} of that form")
        unchanged_since = value
    tokens.space()
    item = tokens.keyword()
    mode = MODES.get(item.removesuffix(b".SILENT"))
    if mode is None:
        raise tokens.misuse("STORE takes FLAGS, +FLAGS or -FLAGS, with or without .SILENT")
    tokens.space()
    if tokens.peek() == b"(":
        flags = tokens.flag_list()
    else:
        flags = [tokens.flag()]
        while tokens.accept(b" "):
            flags.append(tokens.flag())
    return StoreCommand(messages, mode, item.endswith(b".SILENT"), checked(flags), unchanged_since)


def checked(flags: list[str]) -> tuple[str, ...]:
    """The flags a client may store; \\Recent cannot be changed and is skipped (RFC 3501 §2.3.2). Raises MisuseError."""
    for flag in flags:
        if (flag.startswith("\\") and flag.lower() not in KNOWN and flag.lower() != "\\recent") or len(flag) > KEYWORD_OCTETS:
            raise MisuseError(f"there is no flag {flag[:40]}")
    return tuple(flag for flag in flags if flag.lower() != "\\recent")


async def run(session: "Session", store: StoreCommand, uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    if selected.read_only:
        return no(b"The mailbox is read-only.")
    uids = selected.uids_at(selected.places(store.messages, uid))
    if store.unchanged_since is not None:
        await session.enable(b"CONDSTORE")
    if not uids:
        return ok(b"No messages found.")
    since: ModSeq | None = store.unchanged_since  # type: ignore[assignment]
    result = await selected.mailbox.set_flags(uids, store.mode, store.flags, unchanged_since=since)
    selected.stored(result, silent=store.silent, uid=uid)
    return _answer(selected, result, uid)


def _answer(selected: "Selected", result: FlagsResult, uid: bool) -> Completion:
    """A completion has room for one code: where some were refused and some are gone it is MODIFIED, with NO (RFC 7162 §3.1.3)."""
    gone = bool(result.gone) and not uid
    if result.modified:
        failed = sorted(result.modified) if uid else [selected.view.seq_of(number) for number in sorted(result.modified)]
        code = b"MODIFIED " + encode_set(failed)
        return no(GONE, code) if gone else ok(b"Conditional STORE failed for some.", code)
    return no(GONE, b"EXPUNGEISSUED") if gone else ok(b"Stored.")


COMMANDS = (Command(b"STORE", State.SELECTED, parse_store, run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.6"),)
