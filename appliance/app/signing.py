"""DKIM signing with the server's own keys; a message that cannot be signed is sent unsigned, and a condition says so."""

from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, SetupError
from appliance.runtime.dkim_key_files import DkimFiles
from appliance.status.events import ConditionFound

if TYPE_CHECKING:
    from appliance.mail.outgoing import Chunks
    from appliance.mailauth.dkim_sign import Signer
    from appliance.status.board import Board


def unsigned(problem: str) -> ConditionFound:
    """The condition that messages are sent unsigned; `problem` "" when they are signed."""
    return ConditionFound("dkim-unsigned", (f"Messages are sent unsigned: {problem}",) if problem else ())


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
