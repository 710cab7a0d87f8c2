"""DKIM signing with the server's own keys; a message that cannot be signed is sent unsigned, and a condition says so.

Receivers look a key up in the DNS by its selector, where somebody published it once. `KeyMemory` remembers each selector's record in
the table `meta`, so that a key made anew, or restored from another backup, is noticed: signatures made with it are invalid everywhere.

| in DATA/dkim                                | the condition "dkim-new"                       | remembered                       |
|---------------------------------------------|------------------------------------------------|----------------------------------|
| the keys that were remembered               | does not hold                                  |                                  |
| none, but some are remembered               | holds: they are gone                           |                                  |
| another key under a selector remembered     | holds: it has changed                          |                                  |
| further selectors, or fewer (rotation)      | does not hold                                  | the keys of now                  |
| any, and their records were shown or found in the DNS | does not hold                        | the keys of now                  |
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, SetupError, StoreError
from appliance.mail.sentence import Sentence
from appliance.runtime.dkim_key_files import DkimFiles
from appliance.status.events import ConditionFound

if TYPE_CHECKING:
    from appliance.database.database import AnyDatabase
    from appliance.database.group import Transaction
    from appliance.mail.outgoing import Chunks
    from appliance.mailauth.dkim_keys import SigningKey
    from appliance.mailauth.dkim_sign import Signer
    from appliance.status.board import Board

MEMORY_KEY = "dkim_records"
GONE = Sentence(
    "The DKIM signing keys are gone: new ones are made for the next message, and receivers will reject their signatures, since the "
    "records published in the DNS are those of the former keys."
)
CHANGED = Sentence(
    "The DKIM signing keys are new: receivers reject their signatures as long as the records in the DNS are those of the former keys."
)


def unsigned(problem: str) -> ConditionFound:
    """The condition that messages are sent unsigned; `problem` "" when they are signed."""
    return ConditionFound("dkim-unsigned", (Sentence("Messages are sent unsigned: %(problem)s", problem=problem),) if problem else ())


class DkimSigning:
    """Signs with the server's keys, made for the first message; a message that cannot be signed is sent unsigned, and the board shows
    it."""

    def __init__(self, files: DkimFiles, signer: "Signer", board: "Board") -> None:
        self._files = files
        self._signer = signer
        self._board = board
        self._problem = ""

    async def sign(self, domain: str, chunks: "Chunks") -> bytes:
        """A DKIM-Signature for the message; b"" when it cannot be signed."""
        signature, problem = b"", ""
        try:
            await self._files.ensure()
            signature = await self._signer.sign(domain, chunks)
        except SetupError as trouble:
            problem = trouble.problem
        except MisuseError as trouble:
            problem = f"{trouble}."
        if problem != self._problem:
            self._problem = problem
            self._board.publish(unsigned(problem))
        return signature


class KeyMemory:
    """Which record each selector has, by the table above. Storage that cannot be read or written changes no condition."""

    def __init__(self, database: "AnyDatabase", board: "Board") -> None:
        self._database = database
        self._board = board
        self._published = ""

    async def look(self, keys: "Sequence[SigningKey]") -> None:
        """Compare the keys there are now, () for none, with those remembered."""
        now = _digests(keys)
        with suppress(StoreError):
            known = await self._remembered()
            changed = any(known.get(selector, digest) != digest for selector, digest in now.items())
            self._publish(GONE if known and not now else CHANGED if changed else "")
            if now and not changed and now != known:
                await self._keep(now)

    async def shown(self, keys: "Sequence[SigningKey]") -> None:
        """Somebody was shown the records of these keys, or they were found in the DNS."""
        now = _digests(keys)
        with suppress(StoreError):
            if now and now != await self._remembered():
                await self._keep(now)
            self._publish("")

    async def _remembered(self) -> dict[str, str]:
        row = await self._database.read(
            lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (MEMORY_KEY,)).fetchone()
        )
        found: dict[str, str] = json.loads(row[0]) if row else {}
        return found

    async def _keep(self, digests: dict[str, str]) -> None:
        def keep(transaction: "Transaction") -> None:
            transaction.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (MEMORY_KEY, json.dumps(digests)))

        await self._database.write(keep)

    def _publish(self, sentence: str) -> None:
        if sentence != self._published:
            self._published = sentence
            self._board.publish(ConditionFound("dkim-new", (sentence,) if sentence else ()))


def _digests(keys: "Sequence[SigningKey]") -> dict[str, str]:
    return {key.selector: sha256(key.record.encode()).hexdigest()[:32] for key in keys}
