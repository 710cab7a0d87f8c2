"""How errors are answered: one table from the server's errors to NO, BAD and response codes.

Codes are those of RFC 9051 §7.1 and RFC 5530 §3. SERVERBUG is not among them: nothing a client does is a bug of the server, and an
unexpected exception ends the session through the listener's guard.
"""

from appliance.mail.errors import AuthError, MisuseError, PillarboxError, StoreError, Trouble
from appliance.protocol.imap.mailbox_name import NotAName

from .completion import Completion

CODES: dict[Trouble, bytes] = {
    Trouble.NO_MAILBOX: b"NONEXISTENT",
    Trouble.EXISTS: b"ALREADYEXISTS",
    Trouble.BAD_NAME: b"CANNOT",
    Trouble.NOT_ALLOWED: b"CANNOT",
    Trouble.NO_RIGHT: b"NOPERM",
    Trouble.HAS_CHILDREN: b"HASCHILDREN",
    Trouble.READ_ONLY: b"",
    Trouble.GONE: b"EXPUNGEISSUED",
    Trouble.OVER_QUOTA: b"OVERQUOTA",
    Trouble.TOO_BIG: b"TOOBIG",
    Trouble.TOO_MANY: b"LIMIT",
    Trouble.FULL: b"LIMIT",
    Trouble.BUSY: b"UNAVAILABLE",
    Trouble.BROKEN: b"UNAVAILABLE",
}
"""Every trouble of the store is NO. READ_ONLY has no code: [READ-ONLY] was sent when the mailbox was selected."""

NOT_NOW = Completion(b"NO", b"Signing in is not possible just now, try again later.", b"UNAVAILABLE")
"""The reason stays in the log."""


class SessionOver(PillarboxError):
    """The session ends with `* BYE`; `code` without brackets, `text` for the user."""

    def __init__(self, code: bytes, text: bytes) -> None:
        super().__init__(text.decode("ascii", "replace"))
        self.code = code
        self.text = text


class CommandRefused(MisuseError):
    """BAD with a response code."""

    def __init__(self, code: bytes, text: str) -> None:
        super().__init__(text)
        self.code = code


def answer_of(error: StoreError | MisuseError | AuthError, *, creating: bool = False) -> Completion:
    """The tagged response for an error. `creating`: the client may make the missing mailbox and try again (RFC 9051 §6.3.12)."""
    text = printable(str(error))
    if isinstance(error, NotAName):
        return Completion(b"NO", text, CODES[Trouble.BAD_NAME])
    if isinstance(error, MisuseError):
        return Completion(b"BAD", text, error.code if isinstance(error, CommandRefused) else b"")
    if isinstance(error, AuthError):
        return NOT_NOW
    if creating and error.trouble is Trouble.NO_MAILBOX:
        return Completion(b"NO", text, b"TRYCREATE")
    return Completion(b"NO", text, CODES[error.trouble])


def printable(text: str) -> bytes:
    """A sentence as response text: one line of ASCII, never empty, beginning with a capital (RFC 9051 §9 text)."""
    line = "".join(character if " " <= character <= "~" else "?" for character in text)[:300] or "failed"
    line = line.lstrip("[") or "failed"
    return (line[0].upper() + line[1:]).encode("ascii")
