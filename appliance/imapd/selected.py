"""The selected mailbox of a session: what the client knows of it, and sending it the rest (RFC 9051 §7.3, §7.4, §7.5; RFC 7162 §3.2).

Invariant: a client that follows the untagged responses alone has, after each tagged response, the mailbox as committed, except for
messages whose EXPUNGE may not be sent yet (RFC 9051 §7.5.1). Nothing is queued for a session: `sync` pulls all changes since the
MODSEQ the client knows. What this session changed itself and has sent (or kept silent) is not sent again. A message's flags are sent
once in a sync and in their latest state: as STORE left them, or as another session changed them afterwards.
A row's keyword bits are named by the names from the row's own read transaction: FLAGS is sent again before a row whose names the
client lacks.

\\Seen set by FETCH is lazy, to save writes: until it is committed it is kept here and shown to this client alone, without a MODSEQ.
Fails with the store's StoreError. Memory: the store's shared array of UIDs, and sets of what is pending.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.mail.errors import MisuseError
from appliance.mail.flags import KEYWORDS_PER_MAILBOX, SEEN, SYSTEM_NAMES
from appliance.mail.limits import BATCH_ROWS
from appliance.mail.rights import changeable
from appliance.protocol.imap.sequence import Ranges, contains, largest, parse_set, places_of_numbers, places_of_uids
from appliance.store.values import Mode
from appliance.store.view import SequenceView

from .flag_texts import FlagTexts
from .recent import RecentUids

if TYPE_CHECKING:
    from appliance.mail.ids import ModSeq, Uid
    from appliance.store.body_readers import StoredMessage
    from appliance.store.mailbox import Mailbox
    from appliance.store.values import FlagsResult, Row, Want

    from .client import FlagItem, Follower, ImapClient


@dataclass(frozen=True, slots=True)
class Stored:
    """A STORE of this session that is committed and not sent yet. `changed`: UID to flags and MODSEQ as the STORE left them.

    `quiet`: UIDs whose flags need not be sent, because the client knows what they were before. `uid`: sent with UID.
    """

    changed: dict[int, tuple[int, int]]
    quiet: frozenset[int]
    keywords: tuple[str, ...]
    uid: bool


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows read in advance, and some of their messages; valid while nothing in the mailbox has changed (MODSEQ `newest`).

    Two uses: the messages of FETCHes that a client pipelined, read at once (at most 256 KiB of them; dropped with the last FETCH of
    the group), and the large message fetched last, kept open for the next partial FETCH of it. (A client that fetches 100 MB in ranges
    of 64 KiB sends 1,600 FETCHes.) `keywords` names the rows' keyword bits, from the same reading; None: as last sent to the client.
    """

    newest: int
    want: "Want"
    keywords: tuple[str, ...] | None
    rows: "Mapping[int, Row]"
    messages: "Mapping[int, StoredMessage]"
    large: bool = False


class Selected:
    """One session's selected mailbox; made by `open`, ended by `close`."""

    __slots__ = (
        "_lazy_seen",
        "_made",
        "_missing",
        "_sent",
        "_silent",
        "_stored",
        "compiled",
        "contexts",
        "kept",
        "keywords",
        "mailbox",
        "recent",
        "recent_texts",
        "saved",
        "texts",
        "uid_only",
        "view",
    )  # fmt: skip

    def __init__(self, mailbox: "Mailbox") -> None:
        self.mailbox = mailbox
        self.view = SequenceView(mailbox.uids, mailbox.modseq, mailbox.info.uid_next)
        self.keywords: tuple[str, ...] = ()
        self.texts = FlagTexts(())
        self.recent_texts = FlagTexts(())
        self.recent = RecentUids()
        """Empty with IMAP4rev2, which has no \\Recent."""
        self.uid_only = False
        """The session has no sequence numbers (RFC 9586)."""
        self.contexts: list[Follower] = []
        """Searches that are kept up to date (RFC 5267)."""
        self.saved: Sequence[int] = ()
        """UIDs of the last SEARCH RETURN (SAVE) (RFC 5182); those expunged since name nothing."""
        self.kept: KeptRows | None = None
        self.compiled: Any = None
        """The plan of the last FETCH (commands/fetch)."""
        self._sent: dict[int, int] = {}
        """UID to MODSEQ of this session's changes the client knows of: `sync` skips them."""
        self._stored: Stored | None = None
        self._silent = 0
        """MODSEQ of this session's STORE of which nothing need be sent."""
        self._missing = False
        self._made: frozenset[int] = frozenset()
        """UIDs of new messages of this session that no sync has announced yet."""
        self._lazy_seen: dict[int, int] = {}
        """UID to the flags sent, of messages whose lazy \\Seen is not yet known to be committed."""
        self._set_keywords(mailbox.keywords)

    @classmethod
    async def open(cls, client: "ImapClient", mailbox: "Mailbox") -> "Selected":
        """Take over the mailbox and send the untagged responses of SELECT (RFC 9051 §6.3.2, RFC 3501 §6.3.1, RFC 7162 §3.1.2.1)."""
        self = cls(mailbox)
        self.uid_only = client.updates.uid_only
        if not _revision_2(client):
            self.recent.add(mailbox.recent)
        view, info = self.view, mailbox.info
        lines = [self._flags_line(), b"* %d EXISTS\r\n" % len(view)]
        if not _revision_2(client):
            lines.append(b"* %d RECENT\r\n" % self.recent.count(view))
            unseen = view.seq_of(mailbox.first_unseen) if mailbox.first_unseen else 0
            if unseen and not self.uid_only:
                lines.append(b"* OK [UNSEEN %d] The first unseen message.\r\n" % unseen)
        lines.append(await self._permanent_flags_line())
        lines.append(b"* OK [UIDNEXT %d] The next UID.\r\n" % view.uid_next)
        lines.append(b"* OK [UIDVALIDITY %d] UIDs are valid.\r\n" % info.uid_validity)
        await client.send(b"".join(lines))
        return self

    def close(self) -> None:
        self.mailbox.close()

    # --- queries ----------------------------------------------------------------------------

    @property
    def modseq(self) -> "ModSeq":
        """The latest change the client knows: what `mailbox.wait` takes."""
        return self.view.modseq

    @property
    def read_only(self) -> bool:
        return self.mailbox.read_only

    def places(self, raw: bytes, uid: bool) -> Ranges:
        """The messages of a set as half-open ranges of positions in the view, from 0; `$` is the saved result (RFC 5182).

        Raises MisuseError for what is no set, and for sequence numbers beyond EXISTS (RFC 9051 §9 seq-number).
        """
        if raw == b"$":
            return places_of_uids(tuple((kept, kept) for kept in self.saved), self.view.uids)
        ranges = parse_set(raw)
        if uid:
            return places_of_uids(ranges, self.view.uids)
        messages = len(self.view)
        if not messages or largest(ranges) > messages:
            raise MisuseError("the set names messages that do not exist")
        return places_of_numbers(ranges, messages)

    def uids_at(self, places: Ranges) -> "list[Uid]":
        """The UIDs at those positions, ascending."""
        uids = self.view.uids
        return [uid for start, end in places for uid in uids[start:end]]  # type: ignore[misc]

    async def changed_since(self, places: Ranges, since: int) -> Ranges:
        """Of those positions the ones whose messages changed after MODSEQ `since` or are gone, in one query."""
        changes = await self.mailbox.changes(since)  # type: ignore[arg-type]
        uids = self.view.gone.union([row[0] for row in changes.flags])
        if changes.expunged:
            uids.update(set(self.view.uids).intersection(changes.expunged))
        found = sorted([number - 1 for number in map(self.view.seq_of, uids) if number])
        wanted = tuple((start, end - 1) for start, end in places)
        return tuple((place, place + 1) for place in found if contains(wanted, place))

    @property
    def has_lazy_seen(self) -> bool:
        """This client sees \\Seen on messages whose rows do not have it yet."""
        return bool(self._lazy_seen)

    async def commit_seen(self) -> None:
        """Commit lazy \\Seen, before MODSEQs are sent: else it would be sent with an old one. The next sync sends the new ones."""
        if self._lazy_seen and self.mailbox.keeps_seen:
            await self.mailbox.set_flags((), Mode.ADD, ())
        self._lazy_seen = dict.fromkeys(self._lazy_seen, -1)  # -1: their MODSEQ is not sent yet

    # --- flags as this session shows them ------------------------------------------------------

    def flags_of(self, row: "Row") -> int:
        """The row's flags with \\Seen not yet committed."""
        return row[1] | SEEN if row[0] in self._lazy_seen else row[1]

    def flag_texts_of(self, rows: "Sequence[Row]") -> Iterable[bytes]:
        """Encoded flags of rows about to be sent: a column of the batch, so no row costs a call in the common case."""
        texts, recent = self.texts, self.recent
        if self._lazy_seen:
            return [self.flag_text(row[0], self._shown(row)) for row in rows]
        some = recent.among(rows)
        if some is None:
            return [(self.recent_texts if row[0] in recent else texts)[row[1]] for row in rows]
        if some:
            texts = self.recent_texts
        return [texts[row[1]] for row in rows]

    def _shown(self, row: "Row") -> int:
        """The flags as this session shows them; remembered when they differ from the store's."""
        uid, flags = row[:2]
        if uid in self._lazy_seen:
            self._lazy_seen[uid] = flags = flags | SEEN
        return flags

    def flag_text(self, uid: int, flags: int) -> bytes:
        return (self.recent_texts if uid in self.recent else self.texts)[flags]

    def show_seen(self, rows: "Iterable[Row]") -> None:
        """These rows are about to be sent with \\Seen, which the store will set lazily."""
        for row in rows:
            self._lazy_seen[row.uid] = row.flags | SEEN

    def sent(self, uid: int, modseq: int) -> None:
        """The client knows the message's flags as of `modseq` (or asked for .SILENT): `sync` need not send them."""
        self._sent[uid] = modseq
        self._lazy_seen.pop(uid, None)

    def made(self, uid_validity: int, uids: Iterable[int]) -> None:
        """This session has committed new messages in a mailbox: when it is this one, `ImapClient.arrived` is not about them."""
        if uid_validity == self.mailbox.info.uid_validity:
            self._made = frozenset(uids)

    def note_missing(self) -> None:
        """Messages the client knows were missing: the next sync reads uncached changes and so finds their EXPUNGE."""
        self._missing = True

    def note_read(self, modseq: int) -> None:
        """A search has decided by rows as of `modseq`. What the client does not know of that state is sent by the next sync, which reads
        uncached changes: the commit may be so new that `newest` does not have it yet."""
        if modseq > self.view.modseq:
            self._missing = True

    def stored(self, result: "FlagsResult", items: "Sequence[FlagItem]", *, silent: bool, uid: bool) -> None:
        """A STORE is committed: the next sync sends it, with `items` of extensions.

        `silent` holds for a message only when the client knows what its flags were: after a change by another session in between the
        whole result is sent, whichever of the two the client processes first (RFC 3501 §6.4.6, RFC 9051 §6.4.6).
        """
        if silent and result.since <= self.view.modseq and not items and not self._lazy_seen:
            self._silent = result.modseq
            return
        rows, quiet = result.rows(), set()
        if silent:
            shown = self._lazy_seen if result.keywords[: len(self.keywords)] == self.keywords else {}  # else the bits cannot be compared
            for number, _, _, flags, modseq in rows:
                if modseq <= self.view.modseq or shown.get(number) == flags:
                    quiet.add(number)
        changed = {number: (flags, modseq) for number, flags, modseq, _, _ in rows}
        self._stored = Stored(changed, frozenset(quiet), result.keywords, uid)

    async def send_keyword_names(self, client: "ImapClient", keywords: "tuple[str, ...] | None") -> None:
        """Rows with these keyword names are about to be sent: send FLAGS first when the client has others (RFC 9051 §7.3.5)."""
        if keywords is not None and keywords != self.keywords:
            self._set_keywords(keywords)
            await client.send(self._flags_line(), await self._permanent_flags_line())

    # --- sync ----------------------------------------------------------------------------------

    async def sync(self, client: "ImapClient", may_expunge: bool) -> None:
        """Send all changes since the last time; EXPUNGE only when `may_expunge` (RFC 9051 §7.5.1).

        Costs nothing when nothing happened. Raises StoreError (NO_MAILBOX when the mailbox was deleted).
        """
        view = self.view
        if self.mailbox.rights_outdated:
            await self.check_rights(client)
        changed: Sequence[tuple[Uid, int, ModSeq]] = ()
        known, next_known = len(view), view.uid_next
        if self.mailbox.newest() > view.modseq or self._missing:
            changes = await self.mailbox.changes(view.modseq, fresh=self._missing)
            self._missing = False
            changed = view.apply(changes)
            if not may_expunge:
                await self._send_stored_gone(client, changes.keywords)
            await self.send_keyword_names(client, changes.keywords)
        grown = len(view) > known
        if may_expunge and view.gone:
            await self._send_expunged(client)
        if grown:
            recent = self.mailbox.claim_recent(view.uid_next)
            await client.send(b"* %d EXISTS\r\n" % len(view))
            if not _revision_2(client):
                self.recent.add(recent)
                await client.send(b"* %d RECENT\r\n" % self.recent.count(view))
        if changed or self._stored is not None:
            await self._send_flags(client, [row for row in changed if row[2] != self._silent], next_known)
        arrived = [uid for uid in view.uids[bisect_left(view.uids, next_known) :] if uid not in self._made] if grown else []
        for context in self.contexts if changed else ():
            await context.changed(client, [row[0] for row in changed], arrived)
        self._sent.clear()
        self._made = frozenset()
        self._silent = 0
        view.share(*self.mailbox.shared())
        if arrived:
            await client.arrived(arrived)

    async def check_rights(self, client: "ImapClient") -> None:
        """Rights on another's mailbox may have changed: what may be changed now is sent. Raises StoreError when it may not be read."""
        was_read_only = self.read_only
        if await self.mailbox.read_rights():
            if self.read_only != was_read_only:
                code = b"READ-ONLY" if self.read_only else b"READ-WRITE"
                await client.send(b"* OK [", code, b"] Your rights on the mailbox have changed.\r\n")
            await client.send(await self._permanent_flags_line())

    async def send_changed(self, client: "ImapClient", rows: "Sequence[tuple[Uid, int, ModSeq]]") -> None:
        """`* n FETCH` of the flags of those messages that have a number (RFC 7162 §3.2.5.1)."""
        items = client.updates.flag_items
        for start in range(0, len(rows), BATCH_ROWS):
            numbered = [(self.view.seq_of(row[0]), row) for row in rows[start : start + BATCH_ROWS]]
            await client.send(b"".join([self._changed_line(number, row, items) for number, row in numbered if number]))

    async def _send_expunged(self, client: "ImapClient") -> None:
        """EXPUNGE, or what an extension sends instead (RFC 9051 §7.5.1)."""
        gone = self.view.gone
        for uid in gone & self._lazy_seen.keys():
            del self._lazy_seen[uid]
        uids = sorted(gone)
        for context in self.contexts:
            await context.expunging(client, uids)
        numbers = self.view.expunge()
        for start in range(0, len(numbers), BATCH_ROWS):
            end = start + BATCH_ROWS
            await client.send(b"".join(client.updates.expunge(uids[start:end], numbers[start:end])))

    async def _send_stored_gone(self, client: "ImapClient", keywords: tuple[str, ...]) -> None:
        """Send what this session's STORE left of messages expunged since, when a keyword bit has been renamed since.

        Only a bit that no existing message carries is renamed: those that still exist are named by `keywords`, these by the names of
        the STORE's own transaction, which are sent first. The same MODSEQ always has the same flags (RFC 7162 §3.1).
        """
        own = self._stored
        if own is None or own.keywords == keywords[: len(own.keywords)]:
            return
        gone = sorted(self.view.gone.intersection(own.changed))
        if gone:
            await self.send_keyword_names(client, own.keywords)
        items, with_uid = client.updates.flag_items, not self.uid_only and (own.uid or client.updates.uid_always)
        for start in range(0, len(gone), BATCH_ROWS):
            uids = gone[start : start + BATCH_ROWS]
            rows = [(self.view.seq_of(uid), (uid, *own.changed[uid])) for uid in uids]
            await client.send(b"".join([self._stored_line(own, number, row, items, with_uid) for number, row in rows]))
        for uid in gone:
            self._lazy_seen.pop(uid, None)
            del own.changed[uid]

    async def _send_flags(self, client: "ImapClient", changed: "Sequence[tuple[Uid, int, ModSeq]]", next_known: int) -> None:
        """`* n FETCH` of messages the client knows, whose flags this session's STORE or another session changed."""
        items = client.updates.flag_items
        own, self._stored = self._stored, None
        with_uid = not self.uid_only and (client.updates.uid_always or (own is not None and own.uid))
        lines: list[bytes] = []
        for uid, flags, modseq in self._with_own(own, changed) if own is not None else changed:
            if uid >= next_known:
                break  # new: EXISTS announces them, the client fetches what it wants
            number = self.view.seq_of(uid)
            if own is not None and uid in own.changed:
                self._lazy_seen.pop(uid, None)
                if number:
                    lines.append(self._stored_line(own, number, (uid, flags, modseq), items, with_uid))
            elif self._sent.get(uid) != modseq and self._lazy_seen.pop(uid, -1) != flags and number:
                lines.append(self._changed_line(number, (uid, flags, modseq), items))
            if len(lines) >= BATCH_ROWS:
                await client.send(b"".join(lines))
                lines.clear()
        await client.send(b"".join(lines))

    def _with_own(self, own: Stored, changed: "Sequence[tuple[Uid, int, ModSeq]]") -> "list[tuple[Uid, int, ModSeq]]":
        """All that is to be sent after a STORE, ascending: its own result, or later changes, each message once."""
        latest: dict[Any, tuple[int, Any]] = {uid: (flags, modseq) for uid, (flags, modseq) in own.changed.items()}
        latest.update((uid, (flags, modseq)) for uid, flags, modseq in changed)
        return [(uid, *latest[uid]) for uid in sorted(latest)]

    def _stored_line(self, own: Stored, number: int, row: tuple[int, int, int], items: "Sequence[FlagItem]", with_uid: bool) -> bytes:
        """The untagged FETCH of a stored message: of a quiet one the items of extensions alone (RFC 7162 §3.1.3)."""
        uid, flags, modseq = row
        quiet = uid in own.quiet and modseq == own.changed[uid][1]
        if quiet and not items:
            return b""
        items_sent = [b"UID %d" % uid] if with_uid else []
        if not quiet:
            items_sent.append(b"FLAGS " + self.flag_text(uid, flags))
        items_sent += [item.encode(uid, flags, modseq) for item in items]
        return b"* %d %b (%b)\r\n" % (*self._named(number, uid), b" ".join(items_sent))

    def _changed_line(self, number: int, row: tuple[int, int, int], items: "Sequence[FlagItem]") -> bytes:
        """The untagged FETCH of a message whose flags changed."""
        uid, flags, modseq = row
        more = b"".join([b" " + item.encode(uid, flags, modseq) for item in items])
        named = b"" if self.uid_only else b"UID %d " % uid
        return b"* %d %b (%bFLAGS %b%b)\r\n" % (*self._named(number, uid), named, self.flag_text(uid, flags), more)

    def _named(self, number: int, uid: int) -> tuple[int, bytes]:
        """What a response begins with: the sequence number and FETCH, or the UID and UIDFETCH (RFC 9586 §3.3)."""
        return (uid, b"UIDFETCH") if self.uid_only else (number, b"FETCH")

    def _set_keywords(self, keywords: tuple[str, ...]) -> None:
        if self._lazy_seen and self.keywords != keywords[: len(self.keywords)]:
            self._lazy_seen = dict.fromkeys(self._lazy_seen, -1)  # a bit has another name: the flags sent cannot be compared by bits
        self.keywords = keywords
        self.texts = FlagTexts(keywords)
        self.recent_texts = FlagTexts(keywords, b"\\Recent")

    def _flags_line(self) -> bytes:
        return b"* FLAGS (%b)\r\n" % b" ".join(self._flag_names())

    async def _permanent_flags_line(self) -> bytes:
        """RFC 9051 §7.1 PERMANENTFLAGS: `\\*` while the mailbox has room for another keyword."""
        rights = self.mailbox.rights
        names = [] if self.read_only else [name.encode() for name in changeable(map(bytes.decode, self._flag_names()), rights)]
        if not self.read_only and "w" in rights and (len(self.keywords) < KEYWORDS_PER_MAILBOX or await self.mailbox.has_keyword_room()):
            names.append(b"\\*")
        return b"* OK [PERMANENTFLAGS (%b)] Flags that stay.\r\n" % b" ".join(names)

    def _flag_names(self) -> list[bytes]:
        return [name.encode() for _, name in SYSTEM_NAMES] + [name.encode("utf-8") for name in self.keywords]


def _revision_2(client: "ImapClient") -> bool:
    """IMAP4rev2 has no \\Recent and no [UNSEEN] (RFC 9051, appendix E)."""
    return b"IMAP4REV2" in client.enabled
