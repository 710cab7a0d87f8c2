"""The SMTP replies to errors of the store: one table from `Trouble` to enhanced status codes (RFC 3463 §3)."""

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.reply import Reply

FULL = Reply(452, "4.3.1", ("The server has no space for messages just now; please try again later.",))
NO_ROOM = Reply(452, "4.2.2", ("The mailbox is full; please try again later.",))
BUSY = Reply(452, "4.3.1", ("Too many messages are coming in at once; please try again in a moment.",))
TOO_BIG = Reply(552, "5.3.4", ("The message is larger than this server accepts.",))
BROKEN = Reply(451, "4.3.0", ("The message could not be stored just now; please try again later.",))

_ANSWERS = {Trouble.FULL: FULL, Trouble.OVER_QUOTA: NO_ROOM, Trouble.BUSY: BUSY, Trouble.TOO_BIG: TOO_BIG}
"""Every other trouble is ours: BROKEN, and the sending server keeps the message."""


def answer_for(error: StoreError) -> Reply:
    return _ANSWERS.get(error.trouble, BROKEN)
