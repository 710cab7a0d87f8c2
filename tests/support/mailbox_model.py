"""Model of a mailbox built from IMAP responses alone, checked response by response, and the truth that all clients share."""

import random
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Flags = frozenset[bytes]
Fetched = dict[bytes, Any]
_ITEM = re.compile(rb"([A-Z0-9.]+(?:\[[^\]]*\])?(?:<\d+>)?) ")
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_ATOM = re.compile(rb"[^ ()]+")
TOKEN = re.compile(rb"X-Token: (\S+)\r\n", re.IGNORECASE)


class Wrong(AssertionError):
    """A response that is wrong."""


def expect(truth: bool, *words: object) -> None:
    if not truth:
        raise Wrong(" ".join(map(str, words)))


# --- reading a FETCH response --------------------------------------------------------------------------------


def parse_items(text: bytes) -> Fetched:
    """`(UID 3 FLAGS (\\Seen) BODY[] {4}...)` as item to value: number, octets, None for NIL, or a list as its words."""
    expect(text[:1] == b"(" and text[-1:] == b")", "not a list of items:", text[:200])
    at, found = 1, dict[bytes, Any]()
    while at < len(text) - 1:
        item = _ITEM.match(text, at)
        if item is None:
            raise Wrong(f"not an item: {text[at : at + 80]!r}")
        at = item.end()
        if literal := _LITERAL.match(text, at):
            end = literal.end() + int(literal[1])
            value: Any = text[literal.end() : end]
        elif text[at : at + 1] == b"(":
            end = _closing(text, at)
            value = text[at + 1 : end - 1].split()
        elif text[at : at + 1] == b'"':
            end = text.index(b'"', at + 1) + 1
            value = text[at + 1 : end - 1]
        else:
            atom = _ATOM.match(text, at)
            if atom is None:
                raise Wrong(f"no value: {text[at - 30 : at + 80]!r}")
            end, value = atom.end(), None if atom[0] == b"NIL" else int(atom[0])
        expect(text[end : end + 1] in (b" ", b")"), "octets behind a value:", text[end : end + 40])
        expect(item[1] not in found, "an item comes twice:", item[1])
        found[item[1]] = value
        at = end + (text[end : end + 1] == b" ")
    return found


def _closing(text: bytes, at: int) -> int:
    depth, quoted = 0, False
    while True:
        expect(at < len(text), "a list has no end")
        octet = text[at : at + 1]
        at += 1
        if octet == b'"':
            quoted = not quoted
        elif not quoted:
            depth += (octet == b"(") - (octet == b")")
            if not depth:
                return at


# --- messages -------------------------------------------------------------------------------------------------


class Message:
    """A message and every section of it."""

    def __init__(self, token: bytes, octets: int, chance: random.Random) -> None:
        self.token = token
        data = chance.randbytes(octets)
        lines = b64encode(data)
        text = b"Hello from %b.\r\n" % token
        mime = b"Content-Type: text/plain\r\n\r\n"
        coded = b"\r\n".join(lines[at : at + 76] for at in range(0, len(lines), 76))
        header = b"From: a@home.example\r\nSubject: %b\r\nX-Token: %b\r\nMIME-Version: 1.0\r\n" % (token, token)
        header += b'Content-Type: multipart/mixed; boundary="=b"\r\n\r\n'
        second = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        body = b"--=b\r\n" + mime + text + b"\r\n--=b\r\n" + second + coded + b"\r\n--=b--\r\n"
        self.octets = header + body
        self.sections: dict[bytes, Any] = {
            b"BODY[]": self.octets, b"BODY[HEADER]": header, b"BODY[TEXT]": body, b"BODY[1]": text, b"BODY[1.MIME]": mime,
            b"BODY[2]": coded, b"BODY[2.MIME]": second, b"BINARY[2]": data, b"BINARY[1]": text, b"BINARY.SIZE[2]": len(data),
            b"RFC822": self.octets, b"RFC822.HEADER": header, b"RFC822.TEXT": body, b"RFC822.SIZE": len(self.octets),
            b"BODY[HEADER.FIELDS (X-TOKEN)]": b"X-Token: %b\r\n\r\n" % token,
        }  # fmt: skip

    def section(self, name: bytes) -> Any:
        """The value of a FETCH item; a partial one is named as requested (`BODY[]<5.10>`)."""
        whole, _, part = name.partition(b"<")
        if not part:
            return self.sections[whole]
        first, _, count = part.rstrip(b">").partition(b".")
        return self.sections[whole][int(first) : int(first) + int(count)]


class World:
    """The truth shared by all clients: the message of each UID, and a message's flags at each MODSEQ."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, int], Message] = {}
        self.flags: dict[tuple[int, int], Flags] = {}
        self.unproved: list[tuple[int, bytes, Any]] = []
        self.unplaced: list[tuple[int, str, int]] = []

    def placed(self, mailbox: str, uid: int, message: Message) -> None:
        expect(self.messages.setdefault((mailbox, uid), message) is message, "two messages under one UID:", mailbox, uid)

    def copied(self, sources: Iterable[int], mailbox: str, copies: Iterable[int]) -> None:
        """COPYUID of a client; the one that appended a source may not have its response yet."""
        for source, copy in zip(sources, copies, strict=True):
            if message := self.messages.get(("INBOX", source)):
                self.placed(mailbox, copy, message)
            else:
                self.unplaced.append((source, mailbox, copy))

    def says(self, uid: int, name: bytes, value: Any) -> None:
        """A client got these octets for an item of this UID; the client that appended it may not have its response yet."""
        message = self.messages.get(("INBOX", uid))
        if message is None:
            self.unproved.append((uid, name, value))
            return
        true = message.section(name)
        expect(value == true, f"UID {uid} {name!r}: {str(value)[:60]} received, expected {str(true)[:60]}")

    def prove(self) -> None:
        """At the end: check what was copied and received before its message was known."""
        while unplaced := self.unplaced:  # a copy may be the source of another
            self.unplaced = []
            for source, mailbox, copy in unplaced:
                self.copied([source], mailbox, [copy])
            expect(len(self.unplaced) < len(unplaced), "copies of unknown messages:", unplaced[:3])
        unproved, self.unproved = self.unproved, []
        for uid, name, value in unproved:
            self.says(uid, name, value)
        expect(not self.unproved, "octets of unknown messages:", self.unproved[:3])

    def flagged(self, uid: int, modseq: int, flags: Flags) -> None:
        known = self.flags.setdefault((uid, modseq), flags)
        expect(known == flags, f"UID {uid} at MODSEQ {modseq} is reported as {sorted(known)} and as {sorted(flags)}")


# --- one client's mailbox --------------------------------------------------------------------------------------


@dataclass
class Heard:
    """The data in the responses to one command, by UID."""

    fetched: dict[int, Fetched] = field(default_factory=dict)
    expunged: set[int] = field(default_factory=set)
    searched: list[int] | None = None
    copy_uid: bytes = b""


@dataclass(frozen=True)
class Enabled:
    """What a session enables. `qresync` implies `condstore`."""

    condstore: bool = False
    qresync: bool = False
    uid_only: bool = False

    @property
    def commands(self) -> list[bytes]:
        """ENABLE, word by word; CONDSTORE is enabled by SELECT."""
        return [b"ENABLE QRESYNC"] * self.qresync + [b"ENABLE UIDONLY"] * self.uid_only


class Model:
    """UIDs by sequence number (0 where unknown), flags and MODSEQ by UID. With UIDONLY the order is that of the UIDs, 0 last."""

    def __init__(self, world: World, enabled: Enabled) -> None:
        self.world = world
        self.enabled = enabled
        self.condstore = enabled.condstore
        self.qresync = enabled.qresync
        self.uid_only = enabled.uid_only
        self.validity = 0
        self.uids: list[int] = []
        self.flags: dict[int, Flags] = {}
        self.modseqs: dict[int, int] = {}
        self.names: frozenset[bytes] = frozenset()
        self.highest = 0

    def selected(self) -> None:
        """A new SELECT: nothing is known, but MODSEQs never go back."""
        self.uids, self.flags, self.modseqs, self.names = [], {}, {}, frozenset()

    def copy(self) -> "Model":
        """What a client keeps while it is offline."""
        kept = Model(self.world, self.enabled)
        kept.validity, kept.uids, kept.highest, kept.names = self.validity, list(self.uids), self.highest, self.names
        kept.flags, kept.modseqs = dict(self.flags), dict(self.modseqs)
        return kept

    def since(self) -> bytes:
        """What SELECT (QRESYNC ...) says: UIDVALIDITY and the MODSEQ up to which all is known; b"" when nothing is."""
        return b"%d %d" % (self.validity, self.highest) if self.qresync and self.validity else b""

    def resynchronized(self, responses: list[bytes]) -> list[bytes]:
        """The responses to SELECT (QRESYNC ...): what was known less VANISHED (EARLIER), with what FETCH reports, is the mailbox.

        Returns the responses behind them, which are of changes since: a message that vanishes there may be new to the client.
        """
        known, exists, numbered = {uid for uid in self.uids if uid}, -1, dict[int, int]()
        for place, response in enumerate(responses):
            words = response.split(b" ", 3)
            if words[1] == b"VANISHED" and words[2] == b"(EARLIER)":
                known -= set(numbers_of(words[3]))
            elif words[1] == b"VANISHED" or (exists >= 0 and words[-1] == b"EXISTS"):
                rest = responses[place:]
                break
            elif words[-1] == b"EXISTS":
                exists = int(words[1])
            elif words[2] in (b"FETCH", b"UIDFETCH"):
                items = parse_items(words[3])
                uid = int(items.get(b"UID") or words[1])
                known.add(uid)
                numbered[uid] = int(words[1])
                self._told(uid, items)
            elif words[1] == b"FLAGS":
                self.names = frozenset(response[response.index(b"(") + 1 : -1].split())
            elif words[2] == b"[HIGHESTMODSEQ":
                self.at_modseq(int(words[3].split(b"]")[0]))
        else:
            rest = []
        gone = sorted({uid for one in rest if b" VANISHED " in one for uid in numbers_of(one.split(b" ")[-1])} - known)
        self.uids = sorted(known.union(gone[: max(0, exists - len(known))]))  # expunged while SELECT was answered: no FETCH tells of them
        self.flags = {uid: self.flags.get(uid, frozenset()) for uid in self.uids}
        expect(len(self.uids) == exists, "resynchronized to", len(self.uids), "messages of", exists)
        if not self.uid_only:
            expect(all(self.uids[number - 1] == uid for uid, number in numbered.items()), "FETCH under other numbers:", numbered, self.uids)
        return rest

    def feed(self, responses: Iterable[bytes], *, may_expunge: bool, items: Iterable[bytes] = ()) -> Heard:
        heard = Heard()
        for response in responses:
            words = response.split(b" ", 3)
            if words[0] != b"*":
                raise Wrong(f"no untagged response: {response[:200]!r}")
            if words[1] == b"VANISHED":
                self._vanished(response.split(b" ")[2:], heard, may_expunge)
                continue
            if words[1].isdigit():
                self._numbered(int(words[1]), words[2], words[3] if len(words) > 3 else b"", heard, may_expunge, items)
            elif words[1] == b"FLAGS":
                self.names = frozenset(response[response.index(b"(") + 1 : -1].split())
            elif words[1] == b"SEARCH":
                heard.searched = [int(word) for word in response.split()[2:] if word.isdigit()]
            elif words[2:] and words[2] == b"[HIGHESTMODSEQ":
                self.at_modseq(int(words[3].split(b"]")[0]))
            elif words[2:] and words[2] == b"[UIDVALIDITY":
                self.validity = int(words[3].split(b"]")[0])
            elif words[2:] and words[2] == b"[COPYUID":
                heard.copy_uid = response
        known = [uid for uid in self.uids if uid]
        expect(all(one < two for one, two in pairwise(known)), "UIDs do not ascend:", self.uids)
        return heard

    def _vanished(self, words: list[bytes], heard: Heard, may_expunge: bool) -> None:
        expect(self.qresync or self.uid_only, "VANISHED without QRESYNC or UIDONLY")
        gone = numbers_of(words[-1])
        if words[0] == b"(EARLIER)":
            expect(not set(gone) & set(self.uids), "VANISHED (EARLIER) of messages with a number:", set(gone) & set(self.uids))
            return
        expect(may_expunge, "VANISHED where numbers must stay (RFC 7162 §3.2.10.2)")
        for uid in gone:
            self.uids.pop(self._place(uid))
            heard.expunged.add(uid)
            self.flags.pop(uid, None)

    def _place(self, uid: int) -> int:
        """Where a message stands that has vanished: at its UID, or at an unknown one among those its UID lies between."""
        if uid in self.uids:
            return self.uids.index(uid)
        if self.uid_only:  # nothing has a number: UIDFETCH keeps the unknown ones at the end
            expect(0 in self.uids, "VANISHED of an unknown message:", uid, self.uids)
            return self.uids.index(0)
        first = max((place + 1 for place, known in enumerate(self.uids) if 0 < known < uid), default=0)
        after = min((place for place, known in enumerate(self.uids) if known > uid), default=len(self.uids))
        expect(0 in self.uids[first:after], "VANISHED of an unknown message:", uid, self.uids)
        return self.uids.index(0, first, after)

    def at_modseq(self, modseq: int) -> None:
        expect(modseq >= self.highest, "HIGHESTMODSEQ goes back:", self.highest, modseq)
        self.highest = modseq

    def _numbered(self, number: int, what: bytes, rest: bytes, heard: Heard, may_expunge: bool, items: Iterable[bytes]) -> None:
        if what == b"EXISTS":
            expect(number >= len(self.uids), "EXISTS takes messages away:", len(self.uids), number)
            self.uids += [0] * (number - len(self.uids))
        elif what == b"EXPUNGE":
            expect(not self.qresync and not self.uid_only, "EXPUNGE in place of VANISHED")
            expect(may_expunge, "EXPUNGE where numbers must stay (RFC 9051 §7.5.1)")
            expect(1 <= number <= len(self.uids), "EXPUNGE of an unknown number:", number, len(self.uids))
            uid = self.uids.pop(number - 1)
            heard.expunged.add(uid)
            self.flags.pop(uid, None)
        elif what == b"UIDFETCH":
            expect(self.uid_only, "UIDFETCH without UIDONLY")
            if number not in self.uids:
                expect(0 in self.uids, "UIDFETCH of an unknown message:", number)
                self.uids.remove(0)
                self.uids = [*sorted([number, *(uid for uid in self.uids if uid)]), *(uid for uid in self.uids if not uid)]
            self._reported(number, parse_items(rest), heard, items)
        elif what == b"FETCH":
            expect(not self.uid_only, "FETCH with UIDONLY")
            expect(1 <= number <= len(self.uids), "FETCH of an unknown number:", number, len(self.uids))
            self._fetched(number, parse_items(rest), heard, items)

    def _fetched(self, number: int, reported: Fetched, heard: Heard, items: Iterable[bytes]) -> None:
        uid = reported.get(b"UID") or self.uids[number - 1]
        expect(uid, "FETCH without UID of a message whose UID is not known:", number)
        expect(self.uids[number - 1] in (0, uid), "a number changes its UID:", number, self.uids[number - 1], uid)
        self.uids[number - 1] = uid
        self._reported(uid, reported, heard, items)

    def _told(self, uid: int, reported: Fetched) -> None:
        flags, modseq = None, 0
        if b"FLAGS" in reported:
            flags = self.flags[uid] = frozenset(reported[b"FLAGS"]) - {b"\\Recent"}
            expect(flags <= self.names, "flags FLAGS did not name:", flags - self.names)
        if b"MODSEQ" in reported:
            modseq = int(reported[b"MODSEQ"][0])
            expect(modseq >= self.modseqs.get(uid, 0), "MODSEQ goes back:", uid, self.modseqs.get(uid), modseq)
            self.modseqs[uid] = modseq
        if flags is not None and modseq:
            self.world.flagged(uid, modseq, flags)

    def _reported(self, uid: int, reported: Fetched, heard: Heard, items: Iterable[bytes]) -> None:
        self._told(uid, reported)
        for item in items:  # as requested; the response names a partial by its first octet only
            name = item.replace(b".PEEK", b"")
            shown = re.sub(rb"<(\d+)\.\d+>$", rb"<\1>", name)
            if shown in reported:
                self.world.says(uid, name, reported[shown])
        heard.fetched.setdefault(uid, {}).update(reported)

    def known(self) -> dict[int, Flags]:
        expect(0 not in self.uids, "messages without a known UID")
        return {uid: self.flags[uid] for uid in self.uids}


def numbers_of(written: bytes) -> list[int]:
    """A set of numbers, expanded."""
    found: list[int] = []
    for part in written.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found
