"""The core of IMAP as an extension: the ordered list of its commands, one line for each file, and all else it contributes."""

from appliance.protocol.imap.search import KEYS

from ..body_items import BODY_ITEMS
from ..contract import ImapExtension
from ..errors import CODES
from ..row_items import ROW_ITEMS
from .append import COMMANDS as APPEND
from .basic import COMMANDS as BASIC
from .copy import COMMANDS as COPY
from .expunge import COMMANDS as EXPUNGE
from .fetch import COMMANDS as FETCH
from .listing import COMMANDS as LISTING
from .mailboxes import COMMANDS as MAILBOXES
from .search import COMMANDS as SEARCH
from .search import SEARCH_RETURNS
from .selecting import COMMANDS as SELECTING
from .sign_in import COMMANDS as SIGN_IN
from .status import COMMANDS as STATUS
from .status import STATUS_ITEMS
from .store import COMMANDS as STORE

RESPONSE_CODES = (
    b"AUTHENTICATIONFAILED", b"BADCHARSET", b"CAPABILITY", b"CLIENTBUG", b"CLOSED", b"EXPIRED", b"PERMANENTFLAGS", b"PRIVACYREQUIRED",
    b"READ-ONLY", b"READ-WRITE", b"TRYCREATE", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"USEATTR",
)  # fmt: skip
"""RFC 9051 §7.1, RFC 5530 §3, RFC 6154 §3; those of errors are in `errors.CODES`."""

CORE = ImapExtension(
    name="IMAP4rev1",
    rfc="RFC 3501, RFC 9051",
    capability=lambda session: (b"IMAP4rev1",),
    commands=(
        *BASIC,
        *SIGN_IN,
        *MAILBOXES,
        *LISTING,
        *STATUS,
        *SELECTING,
        *APPEND,
        *FETCH,
        *STORE,
        *SEARCH,
        *COPY,
        *EXPUNGE,
    ),
    fetch_items=(*ROW_ITEMS, *BODY_ITEMS),
    search_keys=KEYS,
    search_returns=SEARCH_RETURNS,
    status_items=STATUS_ITEMS,
    response_codes=(*RESPONSE_CODES, *sorted({code for code in CODES.values() if code})),
)
