"""The ordered list of IMAP's core commands: one line for each file."""

from ..contract import Command
from .append import COMMANDS as APPEND
from .basic import COMMANDS as BASIC
from .copy import COMMANDS as COPY
from .expunge import COMMANDS as EXPUNGE
from .fetch import COMMANDS as FETCH
from .listing import COMMANDS as LISTING
from .mailboxes import COMMANDS as MAILBOXES
from .search import COMMANDS as SEARCH
from .selecting import COMMANDS as SELECTING
from .store import COMMANDS as STORE

CORE: tuple[Command, ...] = (
    *BASIC,
    *MAILBOXES,
    *LISTING,
    *SELECTING,
    *APPEND,
    *FETCH,
    *STORE,
    *SEARCH,
    *COPY,
    *EXPUNGE,
)
