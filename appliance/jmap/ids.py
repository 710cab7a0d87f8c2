"""Ids and states as JMAP's clients see them: those of IMAP's OBJECTID (RFC 8474), and MODSEQs of the account.

| id  | names                          | state   | of                                                              |
|-----|--------------------------------|---------|-----------------------------------------------------------------|
| F7  | mailbox                        | 123     | everything of the account up to MODSEQ 123                      |
| M7  | message                        | 123-7   | the same, up to message 7 of MODSEQ 123: the rest follows       |
| T7  | thread, by its first message   |         |                                                                 |
| B7  | the octets of message 7        |         |                                                                 |
| A7  | account                        |         |                                                                 |
"""

import re

from appliance.mail.ids import MessageId, ModSeq
from appliance.protocol.jmap.errors import MethodError
from appliance.store.account_changes import WHOLE, Position

_ID = re.compile(r"([A-Z])([1-9][0-9]{0,18})")
_STATE = re.compile(r"(0|[1-9][0-9]{0,17})(?:-([1-9][0-9]{0,18}))?")
_MOST = 2**63 - 1


def encode_id(kind: str, number: int) -> str:
    return f"{kind}{number}"


def parse_id(kind: str, text: str) -> int | None:
    """The number of an id of this kind; None for any other text, which then names nothing."""
    found = _ID.fullmatch(text)
    number = int(found[2]) if found is not None and found[1] == kind else 0
    return number if 0 < number <= _MOST else None


def encode_state(position: Position | ModSeq) -> str:
    if isinstance(position, Position):
        return str(position.modseq) if position.message == WHOLE else f"{position.modseq}-{position.message}"
    return str(position)


def parse_state(text: str) -> Position:
    """Raises MethodError cannotCalculateChanges for a text that was never a state."""
    found = _STATE.fullmatch(text)
    if found is None:
        raise MethodError("cannotCalculateChanges", "This is no state of this server.")
    return Position(ModSeq(int(found[1])), MessageId(int(found[2])) if found[2] else WHOLE)
