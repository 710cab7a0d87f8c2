"""NOTIFY: changes of the selected and of other mailboxes are sent while the client sends nothing (RFC 5465).

Of other mailboxes STATUS tells what changed, LIST that one was made, renamed, deleted or subscribed, METADATA which entries. What the
client knows is kept as one short row a mailbox; a commit in one of them wakes the session, which reads the mailboxes' rows once and sends
what differs: however many changes there were meanwhile, they cost one reading. What the client itself did to the tree of mailboxes and
their metadata is not told (RFC 5465 §5). The selected mailbox is synced as ever, at once with SELECTED.

Bounded: GROUPS event groups, NAMES names in them, MAILBOXES mailboxes of the account; beyond that NO [NOTIFICATIONOVERFLOW], or, when the
mailboxes become too many later or the names of changed metadata do, the untagged one, and nothing more is sent until the next NOTIFY
(RFC 5465 §5.8).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio

from appliance.protocol.imap import encode
from appliance.protocol.imap.mailbox_filter import SELECTED
from appliance.protocol.imap.mailbox_name import SEPARATOR
from appliance.protocol.imap.notify import EVENT_NAMES, OF_MESSAGES, EventGroup, UnknownEvent, parse_notify
from appliance.store.account_watch import OF_ACCOUNT

from ..commands.fetch import enable_for, plan_of, send_unsolicited
from ..commands.status import find_items, status_line
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import printable
from ..list_response import attributes_of, list_response, old_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.mail.ids import MailboxId
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession, StatusItem
    from ..selected import Selected

GROUPS = 50
NAMES = 500
MAILBOXES = 1000
PAUSE_S = 0.1
"""Between two readings: changes of that time are sent together."""

BAD_EVENT = b"BADEVENT (" + b" ".join(EVENT_NAMES) + b")"
ITEMS = (b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN")
OVERFLOW = b"NOTIFICATIONOVERFLOW"


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of a mailbox; `requested`: the events of all groups that apply to it (RFC 5465 §6)."""

    name: str
    own: bool
    readable: bool
    subscribed: bool
    messages: int
    uid_next: int
    modseq: int
    requested: frozenset[bytes]


# --- what is sent ----------------------------------------------------------------------------


class Notifications:
    """One session's notifications: `contract.Notifying`."""

    def __init__(self, session: "CommandSession", groups: "Sequence[EventGroup]") -> None:
        self._session = session
        self._groups = groups
        self._known: dict[MailboxId, Known] = {}
        self._denied: set[MailboxId] = set()
        """Mailboxes that were told of as \\NoAccess."""
        self._pause_until_mono = 0.0
        self._others = any(not group.of_selected for group in groups)
        self._of_selected = next((group for group in groups if group.of_selected), None)
        self._of_server = any(b"SERVERMETADATACHANGE" in group.events for group in groups)
        self.watch = session.store.watches.add(session.account)
        self.watch.watches_metadata = self._of_server or any(b"MAILBOXMETADATACHANGE" in group.events for group in groups)

    def close(self) -> None:
        self.watch.close()

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
            if not known.readable and known.requested & OF_MESSAGES:  # RFC 5465 §3.1
                await self._send_access(info, known)
            if status and info.selectable and events and not self._is_selected(info):
                chosen = list(dict.fromkeys([*items, *of_changes])) if b"FLAGCHANGE" in events else items  # RFC 5465 §3.1
                await self._session.send(await status_line(self._session, info, chosen))
        return True

    async def wait(self) -> None:
        await trio.sleep_until(self._pause_until_mono)
        await self.watch.wait()

    async def send(self) -> None:
        self._pause_until_mono = trio.current_time() + PAUSE_S
        session = self._session
        self.watch.begin()
        if session.selected is not None:
            await self._sync_selected(session.selected)
        if not self._others:
            return
        before = self._known
        infos = await self._read()
        if infos is None or self.watch.overflowed:
            await session.send(b"* OK [", OVERFLOW, b"] There is too much to be notified of.\r\n")
            self.close()
            session.background = None
            return
        renamed: dict[str, str] = {}
        for info in infos:
            await self._send_names(info, before.get(info.id), renamed)
            await self._send_status(info, before.get(info.id))
        names = {info.name for info in infos}  # what is deleted and has mailboxes below it goes on as another one
        for number in before.keys() - self._known.keys():
            if before[number].name not in names:
                await self._send_gone(number, before[number])
        await self._send_parents(infos, before)
        await self._send_metadata(infos)

    async def arrived(self, uids: "Sequence[int]") -> None:
        """FETCH of new messages of the selected mailbox, behind EXISTS and the updates of searches (RFC 5465 §5.2)."""
        if self._of_selected is not None and self._of_selected.attributes:
            await send_unsolicited(self._session, self._of_selected.attributes, uids)

    async def own(self, *names: str) -> None:
        """The client made, renamed, deleted, subscribed or unsubscribed these mailboxes: it is not told of that (RFC 5465 §5)."""
        if not self._others:
            return
        infos = await self._session.mailboxes.list()
        there = {info.id: self._as_known(info) for info in infos}
        for number, known in there.items():
            before = self._known.get(number)
            if before is None and _touched(known.name, names):
                self._known[number] = replace(known, messages=0, uid_next=1)
            elif before is not None and (_touched(known.name, names) or _touched(before.name, names)):
                self._known[number] = replace(before, name=known.name, subscribed=known.subscribed, requested=known.requested)
        for number in [number for number, known in self._known.items() if number not in there and _touched(known.name, names)]:
            del self._known[number]

    # --- what is known -----------------------------------------------------------------------

    async def _read(self) -> "list[MailboxInfo] | None":
        """The mailboxes in sight, which are known from here on; None when they are too many."""
        session = self._session
        infos = await session.mailboxes.list()
        if len(infos) > MAILBOXES:
            return None
        self._known = {info.id: self._as_known(info) for info in infos}
        self.watch.mailboxes = frozenset(info.id for info in infos)
        return infos

    def _as_known(self, info: "MailboxInfo") -> Known:
        """The groups' names are compared with a mailbox's once, not at every change: there may be NAMES of them."""
        own, before = info.account == self._session.account, self._known.get(info.id)
        if before is not None and (before.name, before.own, before.subscribed) == (info.name, own, info.subscribed):
            events = before.requested
        else:
            events = self._requested(info, own)
        return Known(info.name, own, "r" in info.rights, info.subscribed, info.messages, info.uid_next, info.highest_modseq, events)

    def _requested(self, info: "MailboxInfo", own: bool) -> frozenset[bytes]:
        events: set[bytes] = set()
        for group in self._groups:
            if group.mailboxes.matches(info.name, own=own, subscribed=info.subscribed):
                events |= group.events
        return frozenset(events)

    def _is_selected(self, info: "MailboxInfo") -> bool:
        selected = self._session.selected
        return selected is not None and selected.mailbox.info.id == info.id

    def _events(self, known: Known) -> frozenset[bytes]:
        """Those that are told: of messages and metadata only where they may be read (RFC 5465 §5)."""
        return known.requested if known.readable else known.requested - OF_MESSAGES - {b"MAILBOXMETADATACHANGE"}

    async def _items(self) -> "list[StatusItem]":
        session = self._session
        more = [name for name, item in session.registry.status_items.items() if item.enables and item.enables in session.enabled]
        return await find_items(session, [*ITEMS, *more])

    # --- responses ---------------------------------------------------------------------------

    async def _send_names(self, info: "MailboxInfo", before: Known | None, renamed: dict[str, str]) -> None:
        """LIST of a mailbox that was made, renamed, subscribed or closed to the client; `renamed`: from new names to old ones.

        A mailbox below one whose renaming was told is not told of (RFC 5465 §5.4).
        """
        now, session = self._known[info.id], self._session
        events = self._events(now)
        if before is None:
            if b"MAILBOXNAME" in events or (info.id in self._denied and now.readable):
                await session.send(list_response(session, self._attributes(info), info.name))
                self._denied.discard(info.id)
        elif before.name != now.name and b"MAILBOXNAME" in events | self._events(before):
            renamed[now.name] = before.name
            (above, _, leaf), (above_before, _, leaf_before) = now.name.rpartition(SEPARATOR), before.name.rpartition(SEPARATOR)
            if leaf != leaf_before or renamed.get(above) != above_before:
                await session.send(list_response(session, self._attributes(info), info.name, old_name(session, before.name)))
        elif b"SUBSCRIPTIONCHANGE" in events and before.subscribed != now.subscribed:
            await session.send(list_response(session, self._attributes(info), info.name))
        if before is not None and before.readable != now.readable and now.requested & OF_MESSAGES:
            await self._send_access(info, now)

    async def _send_access(self, info: "MailboxInfo", known: Known) -> None:
        """Whether a mailbox that may be listed may be read (RFC 5465 §3.1, §5.9)."""
        denied = [] if known.readable else [b"\\NoAccess"]
        await self._session.send(list_response(self._session, [*self._attributes(info), *denied], info.name))

    async def _send_status(self, info: "MailboxInfo", before: Known | None) -> None:
        now = self._known[info.id]
        if self._is_selected(info) or not info.selectable:
            return
        events = self._events(now)
        moved = before is None or (before.messages, before.uid_next) != (now.messages, now.uid_next)
        flags = before is not None and not moved and before.modseq != now.modseq
        if (moved and b"MESSAGENEW" in events and (before is not None or now.messages)) or (flags and b"FLAGCHANGE" in events):
            await self._session.send(await status_line(self._session, info, await self._items()))

    async def _send_gone(self, number: "MailboxId", before: Known) -> None:
        """A mailbox was deleted, or is not shared with the client any more (RFC 5465 §5.4, §5.9)."""
        events = before.requested
        if b"MAILBOXNAME" in events:
            await self._session.send(list_response(self._session, (b"\\NonExistent",), before.name))
        elif not before.own and events & OF_MESSAGES:
            await self._session.send(list_response(self._session, (b"\\NoAccess",), before.name))
            self._denied.add(number)

    async def _send_parents(self, infos: "list[MailboxInfo]", before: "dict[MailboxId, Known]") -> None:
        """Of mailboxes that were made or deleted: these have children now, or none any more (RFC 5465 §5.4)."""
        names = {(before.get(number) or self._known[number]).name for number in before.keys() ^ self._known.keys()}
        parents = {name.rpartition(SEPARATOR)[0] for name in names}
        for info in infos:
            if info.name in parents - names and b"MAILBOXNAME" in self._events(self._known[info.id]):
                await self._session.send(list_response(self._session, self._attributes(info), info.name))

    async def _send_metadata(self, infos: "list[MailboxInfo]") -> None:
        """The names of entries that were set or removed (RFC 5465 §5.6, §5.7; RFC 5464 §4.4.2)."""
        entries = self.watch.take_metadata()
        if self._of_server and OF_ACCOUNT in entries:
            await self._send_entries(b'""', entries[OF_ACCOUNT])
        for info in infos:
            if info.id in entries and b"MAILBOXMETADATACHANGE" in self._events(self._known[info.id]):
                await self._send_entries(encode.mailbox(info.name, self._session.utf8), entries[info.id])

    async def _send_entries(self, name: bytes, entries: list[str]) -> None:
        await self._session.send(b"* METADATA ", name, b" ", b" ".join([encode.astring(entry.encode()) for entry in entries]), b"\r\n")

    def _attributes(self, info: "MailboxInfo") -> list[bytes]:
        return attributes_of(info) + ([b"\\Subscribed"] if info.subscribed else [])

    async def _sync_selected(self, selected: "Selected") -> None:
        """SELECTED sends expunges at once, SELECTED-DELAYED with the next command that may (RFC 5465 §3.2); else nothing is sent now."""
        group = self._of_selected
        if group is not None and group.events:
            await selected.sync(self._session, group.mailboxes.word == SELECTED)


def _touched(name: str, names: "Sequence[str]") -> bool:
    """Whether the mailbox is one of these, below one, or above one."""
    return any(name == one or name.startswith(one + SEPARATOR) or one.startswith(name + SEPARATOR) for one in names)


# --- the command -----------------------------------------------------------------------------


async def notify(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    """A refused NOTIFY leaves the one before in place (RFC 5465 §3.1)."""
    try:
        request = parse_notify(tokens)
        tokens.end()
    except UnknownEvent as error:
        return no(printable(str(error)), BAD_EVENT)
    if request is None:
        session.end_background()
        return ok(b"NOTIFY completed.")
    if len(request.groups) > GROUPS or sum(len(group.mailboxes.names) for group in request.groups) > NAMES:
        return no(b"There are too many groups or names.", OVERFLOW)
    attributes = next((group.attributes for group in request.groups if group.attributes), ())
    plan_of(session, attributes)
    notifications = Notifications(session, request.groups)
    if not await _begun(notifications, request.status):
        return no(b"There are too many mailboxes to be notified of.", OVERFLOW)
    await enable_for(session, attributes)
    if session.background is not None:
        await session.background.send()  # what the one before has not told yet
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
