"""The ordered list of IMAP's core commands: one line a file."""

from ..extension import Command
from .append import COMMANDS as APPEND
from .basic import COMMANDS as BASIC
from .listing import COMMANDS as LISTING
from .mailboxes import COMMANDS as MAILBOXES
from .selecting import COMMANDS as SELECTING

CORE: tuple[Command, ...] = (
    *BASIC,
    *MAILBOXES,
    *LISTING,
    *SELECTING,
    *APPEND,
)
