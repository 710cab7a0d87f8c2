"""NOTIFY: changes of the selected and of other mailboxes are sent while the client sends nothing (RFC 5465).

Of other mailboxes STATUS tells what changed, LIST that one was made, renamed, deleted or subscribed. What the client knows is kept as one
short row a mailbox; a commit in one of them wakes the session, which reads the mailboxes' rows once and sends what differs: however
many changes there were meanwhile, they cost one reading. The selected mailbox is synced as ever, at once with SELECTED.

Bounded: GROUPS event groups, NAMES names in them, MAILBOXES mailboxes of the account; beyond that NO [NOTIFICATIONOVERFLOW], or, when the
mailboxes become too many later, the untagged one, and nothing more is sent until the next NOTIFY (RFC 5465 §5.8).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.fetch import parse_attribute
from appliance.protocol.imap.mailbox_filter import SELECTED, SELECTED_DELAYED, MailboxFilter, parse_filter
from appliance.protocol.imap.tokens import Tokens

from ..commands import fetch
from ..commands.status import find_items, status_line
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..list_response import attributes_of, list_response, old_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession, StatusItem
    from ..selected import Selected

GROUPS = 50
NAMES = 500
MAILBOXES = 1000
PAUSE_S = 0.1
"""Between two readings: changes of that time are sent together."""

EVENTS = (
    b"FLAGCHANGE", b"MESSAGENEW", b"MESSAGEEXPUNGE", b"MAILBOXNAME", b"SUBSCRIPTIONCHANGE", b"MAILBOXMETADATACHANGE",
    b"SERVERMETADATACHANGE",
)  # fmt: skip
"""Those of metadata are accepted and never happen: METADATA's values have no MODSEQ."""
OF_MESSAGES = frozenset(EVENTS[:3])
SUPPORTED = b"BADEVENT (FlagChange MessageNew MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"
ITEMS = (b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN")
OVERFLOW = b"NOTIFICATIONOVERFLOW"


class UnknownEvent(MisuseError):
    """NO [BADEVENT ...] (RFC 5465 §5.1)."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    """One event group: of which mailboxes, events in upper case, FETCH items for new messages."""

    mailboxes: MailboxFilter
    events: frozenset[bytes]
    items: bytes = b""

    @property
    def of_selected(self) -> bool:
        return self.mailboxes.word in (SELECTED, SELECTED_DELAYED)


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of a mailbox."""

    name: str
    own: bool
    readable: bool
    subscribed: bool
    messages: int
    uid_next: int
    modseq: int


def _known(info: "MailboxInfo", *, own: bool) -> Known:
    return Known(info.name, own, "r" in info.rights, info.subscribed, info.messages, info.uid_next, info.highest_modseq)


# --- grammar ---------------------------------------------------------------------------------


@dataclass(slots=True)
class NotifyRequest:
    """The arguments of NOTIFY SET; None stands for NOTIFY NONE."""

    status: bool
    groups: list[EventGroup]


def parse_notify(tokens: Tokens) -> NotifyRequest | None:
    """`SP "NONE"` or `SP "SET" [SP "STATUS"] 1*(SP group)` (RFC 5465 §8)."""
    tokens.space()
    word = tokens.keyword()
    if word == b"NONE":
        return None
    if word != b"SET":
        raise tokens.misuse("NOTIFY takes SET or NONE")
    request = NotifyRequest(tokens.accept(b" STATUS"), [])
    while tokens.accept(b" "):
        request.groups.append(_parse_group(tokens))
    if not request.groups:
        raise tokens.misuse("NOTIFY SET takes groups of events")
    selected = [group for group in request.groups if group.of_selected]
    if len(selected) > 1:
        raise MisuseError("the selected mailbox has one group of events")
    return request


def _parse_group(tokens: Tokens) -> EventGroup:
    tokens.expect(b"(")
    mailboxes = parse_filter(tokens, delayed=True)
    tokens.space()
    events: list[bytes] = []
    items: list[bytes] = []
    if not tokens.accept(b"NONE"):
        events = tokens.list_of(lambda: _parse_event(tokens, items))
    tokens.expect(b")")
    group = EventGroup(mailboxes, frozenset(events), b"".join(items))
    if items and not group.of_selected:
        raise MisuseError("FETCH items belong to the selected mailbox")
    _check(group.events)
    return group


def _parse_event(tokens: Tokens, items: list[bytes]) -> bytes:
    event = tokens.keyword()
    if event not in EVENTS:
        raise UnknownEvent(f"there is no event {event.decode('ascii', 'replace')}")
    if event == b"MESSAGENEW" and tokens.begins(b" ("):
        tokens.space()
        before = tokens.copy().rest()
        if not tokens.list_of(lambda: parse_attribute(tokens)):
            raise tokens.misuse("the list of attributes is empty")
        items.append(before[: len(before) - len(tokens.copy().rest())])
    return event


def _check(events: frozenset[bytes]) -> None:
    """RFC 5465 §5.2, §5.3: new and expunged messages go together, and flags need both."""
    if (b"MESSAGENEW" in events) != (b"MESSAGEEXPUNGE" in events):
        raise MisuseError("MessageNew and MessageExpunge go together")
    if b"FLAGCHANGE" in events and b"MESSAGENEW" not in events:
        raise MisuseError("FlagChange needs MessageNew and MessageExpunge")


# --- what is sent ----------------------------------------------------------------------------


class Notifications:
    """One session's notifications: `contract.Background`."""

    def __init__(self, session: "CommandSession", groups: "Sequence[EventGroup]") -> None:
        self._session = session
        self._groups = groups
        self._watch = session.store.watches.add(session.account)
        self._known: dict[int, Known] = {}
        self._pause_until_mono = 0.0
        self._others = any(not group.of_selected for group in groups)
        self._selected_group = next((group for group in groups if group.of_selected), None)

    def close(self) -> None:
        self._watch.close()

    async def begin(self, status: bool) -> bool:
        """What is there now is known; with `status` it is sent. False: there are too many mailboxes."""
        infos = await self._read()
        if infos is None:
            return False
        items = await self._items()
        of_changes = [item for item in self._session.registry.status_items.values() if item.enables]
        for info in infos:
            known = self._known[info.id]
            events = self._events(known) & OF_MESSAGES
            if not known.readable and self._requested(known) & OF_MESSAGES:  # RFC 5465 §3.1
                await self._session.send(list_response(self._session, [*self._attributes(info), b"\\NoAccess"], info.name))
            if status and info.selectable and events and not self._is_selected(info):
                chosen = list(dict.fromkeys([*items, *of_changes])) if b"FLAGCHANGE" in events else items  # RFC 5465 §3.1
                await self._session.send(await status_line(self._session, info, chosen))
        return True

    async def wait(self) -> None:
        await trio.sleep_until(self._pause_until_mono)
        await self._watch.wait()

    async def send(self) -> None:
        self._pause_until_mono = trio.current_time() + PAUSE_S
        session = self._session
        self._watch.begin()
        if session.selected is not None:
            await self._sync_selected(session.selected)
        if not self._others:
            return
        before = self._known
        infos = await self._read()
        if infos is None:
            await session.send(b"* OK [", OVERFLOW, b"] There are too many mailboxes to be notified of.\r\n")
            self.close()
            session.background = None
            return
        for info in infos:
            await self._send_mailbox(info, before.get(info.id))
        for number in before.keys() - self._known.keys():
            if b"MAILBOXNAME" in self._events(before[number]):
                await session.send(list_response(session, (b"\\NonExistent",), before[number].name))
        await self._send_parents(infos, before)

    async def _read(self) -> "list[MailboxInfo] | None":
        """The mailboxes in sight, which are known from here on; None when they are too many."""
        session = self._session
        infos = await session.mailboxes.list()
        if len(infos) > MAILBOXES:
            return None
        self._known = {info.id: _known(info, own=info.account == session.account) for info in infos}
        self._watch.mailboxes = frozenset(info.id for info in infos)
        return infos

    def _is_selected(self, info: "MailboxInfo") -> bool:
        selected = self._session.selected
        return selected is not None and selected.mailbox.info.id == info.id

    def _events(self, known: Known) -> frozenset[bytes]:
        """Those that are told: of messages only where they may be read (RFC 5465 §5)."""
        events = self._requested(known)
        return events if known.readable else events - OF_MESSAGES

    def _requested(self, known: Known) -> frozenset[bytes]:
        """Of all groups that apply to the mailbox (RFC 5465 §6)."""
        events: set[bytes] = set()
        for group in self._groups:
            if group.mailboxes.matches(known.name, own=known.own, subscribed=known.subscribed):
                events |= group.events
        return frozenset(events)

    async def _items(self) -> "list[StatusItem]":
        session = self._session
        more = [name for name, item in session.registry.status_items.items() if item.enables and item.enables in session.enabled]
        return await find_items(session, [*ITEMS, *more])

    async def _send_mailbox(self, info: "MailboxInfo", before: Known | None) -> None:
        now, session = self._known[info.id], self._session
        events = self._events(now)
        renamed = before is not None and before.name != now.name
        if b"MAILBOXNAME" in events and (before is None or renamed):
            data = old_name(session, before.name) if before is not None else b""
            await session.send(list_response(session, self._attributes(info), info.name, data))
        elif b"SUBSCRIPTIONCHANGE" in events and before is not None and before.subscribed != now.subscribed:
            await session.send(list_response(session, self._attributes(info), info.name))
        if self._is_selected(info) or not info.selectable:
            return
        moved = before is None or (before.messages, before.uid_next) != (now.messages, now.uid_next)
        flags = before is not None and not moved and before.modseq != now.modseq
        if (moved and b"MESSAGENEW" in events and (before is not None or now.messages)) or (flags and b"FLAGCHANGE" in events):
            await session.send(await status_line(session, info, await self._items()))

    async def _send_parents(self, infos: "list[MailboxInfo]", before: dict[int, Known]) -> None:
        """Of mailboxes that were made or deleted: these have children now, or none any more (RFC 5465 §5.4)."""
        names = {(before.get(number) or self._known[number]).name for number in before.keys() ^ self._known.keys()}
        parents = {name.rpartition("/")[0] for name in names}
        for info in infos:
            if info.name in parents - names and b"MAILBOXNAME" in self._events(self._known[info.id]):
                await self._session.send(list_response(self._session, self._attributes(info), info.name))

    def _attributes(self, info: "MailboxInfo") -> list[bytes]:
        return attributes_of(info) + ([b"\\Subscribed"] if info.subscribed else [])

    async def _sync_selected(self, selected: "Selected") -> None:
        """SELECTED sends expunges at once, SELECTED-DELAYED with the next command that may (RFC 5465 §3.2); else nothing is sent now."""
        group = self._selected_group
        if group is None or not group.events:
            return
        known = selected.view.uid_next
        await selected.sync(self._session, group.mailboxes.word == SELECTED)
        if group.items and selected.view.uid_next > known:
            await fetch.run(self._session, Tokens(b" %d:%d %b" % (known, selected.view.uid_next - 1, group.items)), True)


# --- the command -----------------------------------------------------------------------------


async def notify(session: "CommandSession", tokens: Tokens, uid: bool) -> Completion:
    """A refused NOTIFY leaves the one before in place (RFC 5465 §3.1)."""
    try:
        request = parse_notify(tokens)
        tokens.end()
    except UnknownEvent as error:
        return no(str(error).encode("ascii", "replace"), SUPPORTED)
    if request is None:
        session.end_background()
        return ok(b"NOTIFY completed.")
    if len(request.groups) > GROUPS or sum(len(group.mailboxes.names) for group in request.groups) > NAMES:
        return no(b"There are too many groups or names.", OVERFLOW)
    notifications = Notifications(session, request.groups)
    if not await _begun(notifications, request.status):
        return no(b"There are too many mailboxes to be notified of.", OVERFLOW)
    session.end_background()
    session.background = notifications
    return ok(b"NOTIFY completed.")


async def _begun(notifications: Notifications, status: bool) -> bool:
    begun = False
    try:
        begun = await notifications.begin(status)
    finally:
        if not begun:
            notifications.close()
    return begun


EXTENSION = ImapExtension(
    name="NOTIFY",
    rfc="RFC 5465",
    capability=lambda session: (b"NOTIFY",),
    commands=(ImapCommand(b"NOTIFY", ImapState.SIGNED_IN, lambda tokens: tokens.fork(), notify, rfc="RFC 5465 §3"),),
    response_codes=(b"BADEVENT", OVERFLOW),
)
