"""IMAP4rev2 beside IMAP4rev1: what ENABLE IMAP4REV2 changes (RFC 9051, appendix A and E).

From then on mailbox names are UTF-8, SEARCH is answered by ESEARCH, SELECT sends LIST, \\Recent and [UNSEEN] are gone, and renamed or
normalized mailboxes are announced with OLDNAME. The core does these where they belong, by the word IMAP4REV2 in `CommandSession.enabled`;
whatever else IMAP4rev2 folded in has a capability of its own for IMAP4rev1.
"""

from typing import TYPE_CHECKING

from ..contract import Enabling, ImapExtension
from ..list_response import REVISION_2
from ..recent import RecentUids

if TYPE_CHECKING:
    from ..contract import CommandSession


async def begin(session: "CommandSession") -> None:
    """Nothing is \\Recent any more, also in the mailbox selected now."""
    if session.selected is not None:
        session.selected.recent = RecentUids()


EXTENSION = ImapExtension(
    name="IMAP4rev2",
    rfc="RFC 9051",
    capability=lambda session: (b"IMAP4rev2",),
    enable=(Enabling(REVISION_2, begin=begin, utf8=True),),
)
