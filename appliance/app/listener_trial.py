"""Changed listeners on trial: who changes by network where the server listens may lock themselves out, so the change goes back by itself.

| state  | on storage                                | leaves it by                                                                   |
|--------|-------------------------------------------|--------------------------------------------------------------------------------|
| none   | -                                         | `begin`: the note, then the settings; the server restarts -> trying            |
| trying | NAME: the text before, digest of the new, | `confirm` -> none; TRIAL_S after a start the text before is back, restart      |
|        | an id                                     | -> none; the settings were changed by hand: they stay, the journal says so     |

The note is durable before the settings are, so no power cut leaves a change that nothing takes back. Whoever confirms names the trial by
its id, so that a page of an earlier one ends no other. `changing` is held while note or settings are written.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import trio

from appliance.config import settings_edit
from appliance.runtime.atomic_file import sync_directory, write_whole

NAME = "listener-trial.json"
TRIAL_S = 60.0


@dataclass(frozen=True, slots=True)
class TrialNote:
    """What is on storage while listeners are on trial."""

    before: str
    digest: str
    id: str = ""


class ListenerTrial:
    """`settings`: the settings file. `again`: restart the server. `say`: a line of the journal."""

    def __init__(self, directory: Path, settings: Path, again: Callable[[], None], say: Callable[[str], None]) -> None:
        self._file = directory / NAME
        self._settings = settings
        self._again = again
        self._say = say
        self.changing = trio.Lock()
        self._confirmed = trio.Event()
        self._ends_mono = 0.0
        self._goes_back = False

    def note(self) -> TrialNote | None:
        """None when nothing is on trial."""
        try:
            return TrialNote(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def left_s(self) -> float:
        """Seconds until it goes back; 0 when nothing is on trial."""
        return max(0.0, self._ends_mono - trio.current_time()) if self._ends_mono else 0.0

    @property
    def id(self) -> str:
        """Of what is on trial; "" for nothing."""
        note = self.note() if self._ends_mono else None
        return note.id if note else ""

    def begin(self, before: str, changed: str) -> None:
        """Before the settings are written; `changing` is held. Blocking. Raises OSError."""
        if (note := self.note()) is not None and note.digest == settings_edit.digest_of(before):
            before = note.before  # a trial on top of one that nobody confirmed
        note = TrialNote(before, settings_edit.digest_of(changed), os.urandom(8).hex())
        write_whole(self._file, json.dumps(asdict(note)).encode())

    def end(self) -> None:
        """Nothing is on trial any more. Blocking. Raises OSError."""
        self._file.unlink(missing_ok=True)
        sync_directory(self._file.parent)

    async def confirm(self, trial: str) -> bool:
        """The change of this id stays; False when that is not on trial, or goes back already."""
        async with self.changing:
            note = self.note()
            if self._goes_back or note is None or note.id != trial:
                return False
            self._ends_mono = 0.0
            self._confirmed.set()  # before the note is gone, which takes a moment: the time must not run out meanwhile
            await trio.to_thread.run_sync(self.end)
            return True

    async def run(self) -> None:
        """Of a server that started on trial: wait, then go back."""
        note = self.note()
        if note is None:
            return
        self._ends_mono = trio.current_time() + TRIAL_S
        with trio.move_on_after(TRIAL_S):
            await self._confirmed.wait()
            return
        async with self.changing:
            await self._go_back(note)

    async def _go_back(self, note: TrialNote) -> None:
        self._ends_mono = 0.0
        if self.note() != note:  # confirmed, or changed once more: that has a trial of its own, after the restart
            return
        self._goes_back = True
        if self._text_digest() != note.digest:
            self._say("The settings were changed by hand while new listeners were on trial: they stay as they are.")
            await trio.to_thread.run_sync(self.end)
            return
        self._say("Nobody confirmed the new listeners within a minute: the settings before are back, and the server restarts.")
        await trio.to_thread.run_sync(write_whole, self._settings, note.before.encode())
        await trio.to_thread.run_sync(self.end)
        self._again()

    def _text_digest(self) -> str:
        try:
            return settings_edit.digest_of(self._settings.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return ""
