"""A model of a mailbox, built from responses alone."""

import re
from dataclasses import dataclass, field

from .client import Client

_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_UID = re.compile(rb"\bUID ([0-9]+)")
_MODSEQ = re.compile(rb"MODSEQ \(([0-9]+)\)")


async def ok(client: Client, command: bytes) -> list[bytes]:
    """The untagged responses of a command that must succeed."""
    untagged, tagged = await client.command(command)
    assert tagged.startswith(b"OK"), (command, tagged)
    return untagged


@dataclass
class Picture:
    """UIDs by number (0 where unknown), flags and MODSEQ by UID."""

    uids: list[int] = field(default_factory=list)
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)
    modseqs: dict[int, int] = field(default_factory=dict)

    def feed(self, responses: list[bytes]) -> None:
        for response in responses:
            words = response.split(b" ", 3)
            if len(words) < 3 or not words[1].isdigit():
                continue
            number = int(words[1])
            if words[2] == b"EXISTS":
                assert number >= len(self.uids), "EXISTS never shrinks the mailbox"
                self.uids += [0] * (number - len(self.uids))
            elif words[2] == b"EXPUNGE":
                assert 1 <= number <= len(self.uids), "EXPUNGE of a number that does not exist"
                del self.uids[number - 1]
            elif words[2] == b"FETCH":
                self._fetched(number, words[3])

    def _fetched(self, number: int, items: bytes) -> None:
        assert 1 <= number <= len(self.uids), "FETCH of a number that does not exist"
        uid = _UID.search(items)
        if uid:
            assert self.uids[number - 1] in (0, int(uid[1])), "a number changed its UID"
            self.uids[number - 1] = int(uid[1])
        known = self.uids[number - 1]
        if flags := _FLAGS.search(items):
            self.flags[known] = frozenset(flags[1].split()) - {b"\\Recent"}
        if modseq := _MODSEQ.search(items):
            self.modseqs[known] = int(modseq[1])

    def messages(self) -> dict[int, frozenset[bytes]]:
        assert 0 not in self.uids, "messages without a known UID"
        assert self.uids == sorted(set(self.uids))
        return {uid: self.flags[uid] for uid in self.uids}
