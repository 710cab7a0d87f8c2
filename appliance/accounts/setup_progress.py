"""How far the setup in the browser is: the answers so far, so that it goes on there after an interruption.

One setup for a server, in one row of `meta`. No secret is in it: neither the setup code nor a password. `stage` is "" before the
first account, "sending" when it is there and how mail leaves is still open; the row is gone when all is done.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from appliance.database.database import AnyDatabase
from appliance.database.group import Transaction

from .directory import Executes

KEY = "setup_progress"


@dataclass(frozen=True, slots=True)
class SetupAnswers:
    """`local` and `domain` are the two parts of the address; `domain` "" with `answered`: none yet."""

    language: str = ""
    name: str = ""
    local: str = ""
    domain: str = ""
    answered: bool = False
    stage: str = ""


class SetupProgress:
    """Reads and keeps the answers. Raises StoreError."""

    def __init__(self, database: AnyDatabase) -> None:
        self._database = database
        self._answers: SetupAnswers | None = None

    async def answers(self) -> SetupAnswers:
        """What is stored; read once."""
        if self._answers is None:
            self._answers = await self._database.read(_stored)
        return self._answers

    async def keep(self, **changed: Any) -> SetupAnswers:
        """Store these answers beside the others."""
        answers = replace(await self.answers(), **changed)
        row = json.dumps(asdict(answers), ensure_ascii=False)

        def write(transaction: Transaction) -> None:
            transaction.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (KEY, row))

        await self._database.write(write)
        self._answers = answers
        return answers

    async def end(self) -> None:
        """Nothing is open any more."""
        if await self.answers() != SetupAnswers():
            await self._database.write(lambda transaction: transaction.execute("DELETE FROM meta WHERE key = ?", (KEY,)))
            self._answers = SetupAnswers()


def _stored(reads: Executes) -> SetupAnswers:
    for (value,) in reads.execute("SELECT value FROM meta WHERE key = ?", (KEY,)):
        found = json.loads(value)
        known = {one.name for one in fields(SetupAnswers)}
        return SetupAnswers(**{key: value for key, value in found.items() if key in known})
    return SetupAnswers()
