"""UIDONLY: a session without sequence numbers (RFC 9586).

Once enabled, messages are named by UID alone: UIDFETCH takes the place of FETCH, VANISHED that of EXPUNGE, commands have their UID form
and a search names no numbers; what breaks that is BAD [UIDREQUIRED]. EXISTS is still a count.
"""

from typing import TYPE_CHECKING

from ..contract import Enabling, ImapExtension
from .qresync import encode_vanished

if TYPE_CHECKING:
    from ..contract import CommandSession


async def begin(session: "CommandSession") -> None:
    """For the mailbox selected now as well; the plan of its last FETCH was made for FETCH responses, its searches may be by number."""
    if session.selected is not None:
        session.selected.uid_only = True
        session.selected.compiled = None
        for context in session.selected.contexts:
            context.use_uids()


EXTENSION = ImapExtension(
    name="UIDONLY",
    rfc="RFC 9586",
    capability=lambda session: (b"UIDONLY",),
    enable=(Enabling(b"UIDONLY", begin=begin, expunge=encode_vanished, uid_only=True),),
    response_codes=(b"UIDREQUIRED",),
)
