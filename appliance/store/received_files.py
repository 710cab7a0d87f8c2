"""Files that users send to have their messages brought in: on storage until that is done, so that nothing has to be sent twice.

One file an account, in the directory `imports`: `NUMBER.data` with its octets so far, `NUMBER.json` with what is known of it.

| state     | leaves it by                                                                          |
|-----------|---------------------------------------------------------------------------------------|
| receiving | all octets are there and are of a known kind -> received; another file, 7 days -> gone |
| received  | its user says go -> running; 30 days -> gone                                          |
| running   | its last message is committed -> done; no room, or it cannot be read -> stopped       |
| stopped   | its user says go on -> running; 30 days -> gone                                       |
| done      | its octets are gone; what became of it stays for 30 days, or until another file       |

Its user may throw it away in every state; what was brought in by then stays. Blocking: called in a thread, but for `load`.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from appliance.mail.ids import AccountId

DIRECTORY = "imports"
DAY_S = 86_400
KEPT_DAYS, RECEIVING_DAYS = 30, 7


@dataclass(slots=True)
class ReceivedFile:
    """`octets` it is to have; `stamp` tells it from another of its name. `messages`: 0 while not counted; `unpacked`: octets of its mail.
    `reason`: why it was stopped, or what the first message that was left out lacks."""

    account: AccountId
    id: str
    name: str
    octets: int
    stamp: str
    made_at: int
    state: str = "receiving"
    kind: str = ""
    mailbox: str = ""
    messages: int = 0
    unpacked: int = 0
    stored: int = 0
    doubled: int = 0
    left_out: int = 0
    reason: str = ""
    received: int = 0
    """Octets that are there; the size of the file is the truth."""


class ReceivedFiles:
    """The directory. `files` has what is known of each, by account."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.files: dict[AccountId, ReceivedFile] = {}

    @property
    def directory(self) -> Path:
        return self._directory

    def load(self, now_at: float | None) -> None:
        """Read what an earlier run left. `now_at` None: the clock cannot be trusted, and nothing is too old."""
        for path in sorted(self._directory.glob("*.json")) if self._directory.exists() else ():
            file = _parsed(path)
            if file is None or (now_at is not None and now_at - file.made_at > DAY_S * _days(file)):
                path.with_suffix(".data").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                continue
            if file.state == "done":
                self.data(file).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                file.received = self.data(file).stat().st_size
            self.files[file.account] = file

    def data(self, file: ReceivedFile) -> Path:
        return self._directory / f"{file.account}.data"

    def make(self, account: AccountId, name: str, octets: int, stamp: str, now_at: int) -> ReceivedFile:
        """A new file in the place of any other. Raises OSError."""
        self.remove(account)
        file = ReceivedFile(account, token_hex(8), name, octets, stamp, now_at)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(self.data(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self.files[account] = file
        self.save(file)
        return file

    def save(self, file: ReceivedFile) -> None:
        """Whole or not at all after a power cut; nothing for a file that was thrown away meanwhile. Raises OSError."""
        if self.files.get(file.account) is not file:
            return
        path = self._directory / f"{file.account}.json"
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            json.dump(asdict(file), out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)

    def append(self, file: ReceivedFile, octets: bytes) -> None:
        """Raises OSError."""
        with self.data(file).open("r+b") as out:
            out.seek(file.received)
            out.write(octets)
        file.received += len(octets)

    def open(self, file: ReceivedFile) -> BinaryIO:
        """Raises OSError."""
        return self.data(file).open("rb")

    def keep(self, file: ReceivedFile) -> None:
        """All octets are there: on storage after this."""
        with self.data(file).open("rb") as found:
            os.fsync(found.fileno())

    def end(self, file: ReceivedFile) -> None:
        """Its messages are in: the octets are not needed any more."""
        self.save(file)
        self.data(file).unlink(missing_ok=True)

    def remove(self, account: AccountId) -> None:
        self.files.pop(account, None)
        for ending in ("json", "data"):
            (self._directory / f"{account}.{ending}").unlink(missing_ok=True)


def _days(file: ReceivedFile) -> int:
    return RECEIVING_DAYS if file.state == "receiving" else KEPT_DAYS


def _parsed(path: Path) -> ReceivedFile | None:
    known = {one.name for one in fields(ReceivedFile)}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return ReceivedFile(**{name: value for name, value in found.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
