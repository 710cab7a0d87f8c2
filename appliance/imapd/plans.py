"""What a FETCH or a STORE is about to do; modifiers of extensions change it before it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.store.values import Mode, Want

from .body_items import AtOnce, BodyItem
from .completion import Completion
from .row_items import FLAGS, UID, RowItem

if TYPE_CHECKING:
    from appliance.mail.ids import ModSeq
    from appliance.protocol.imap.fetch import Attribute
    from appliance.protocol.imap.sequence import Ranges
    from appliance.store.values import FlagsResult, Row

    from .client import ImapClient
    from .selected import Selected

Narrow = Callable[["ImapClient", "Selected", "Ranges"], Awaitable["Ranges"]]
"""Positions requested to those to fetch. It runs before the first FETCH response and may send others first, such as VANISHED (EARLIER)
(RFC 7162 §3.2.6). Raises StoreError."""
Complete = Callable[["Selected", "FlagsResult", bool], Completion | None]
"""(selected mailbox, result, UID form) of a committed STORE to its tagged response, or None for the next one to decide."""


@dataclass(slots=True)
class FetchPlan:
    """The compiled list of items of one FETCH, and what its modifiers added.

    `enables`: words of ENABLE that the items and modifiers imply; enabled once the message set is known to be valid. `narrow` and
    `keep` select messages: by position before anything is read, and by row afterwards (all must be true; a row may be a plain tuple, of
    which 0, 1 and 2 are UID, flags and MODSEQ). `checks` are called when all modifiers are known and nothing is enabled or sent yet; they
    raise MisuseError. `messages` is the set as written, of UIDs if `uid`; `since` is CHANGEDSINCE's MODSEQ.
    """

    messages: bytes = b""
    uid: bool = False
    since: int | None = None

    row_items: list[RowItem] = field(default_factory=list)
    body_items: "list[tuple[Attribute, BodyItem]]" = field(default_factory=list)
    enables: list[bytes] = field(default_factory=list)
    narrow: list[Narrow] = field(default_factory=list)
    keep: "list[Callable[[Row], bool]]" = field(default_factory=list)
    checks: "list[Callable[[ImapClient], None]]" = field(default_factory=list)

    def at_once(self) -> "list[AtOnce] | None":
        """The functions of the items that read the message, for messages in memory; None when one has none."""
        found = [item.at_once(attribute) for attribute, item in self.body_items if item.at_once is not None]
        return found if len(found) == len(self.body_items) else None

    def require(self, item: RowItem) -> None:
        """Send this item as well, once."""
        if all(present.name != item.name for present in self.row_items):
            self.row_items.append(item)
            if item.enables:
                self.enables.append(item.enables)

    def has(self, name: bytes) -> bool:
        return any(item.name == name for item in self.row_items)

    @property
    def sees(self) -> bool:
        """Whether fetching sets \\Seen."""
        return any(item.sees for _, item in self.body_items)

    @property
    def flags_alone(self) -> bool:
        """Whether a message's flags say all that is sent of it, and that it is."""
        return not self.body_items and not self.keep and all(item in (UID, FLAGS) for item in self.row_items)

    @property
    def want(self) -> Want:
        """The columns to read."""
        want = Want.FLAGS
        for item in self.row_items:
            want |= item.want
        return want | Want.BODY | Want.DATES if self.body_items else want


@dataclass(slots=True)
class StorePlan:
    """One STORE and what its modifiers added; `complete` is called in order until one returns the tagged response."""

    messages: bytes
    mode: Mode = Mode.REPLACE
    silent: bool = False
    flags: tuple[str, ...] = ()
    unchanged_since: "ModSeq | None" = None
    """Messages with a later MODSEQ are not changed, and listed in `FlagsResult.modified`."""
    enables: list[bytes] = field(default_factory=list)
    complete: list[Complete] = field(default_factory=list)
