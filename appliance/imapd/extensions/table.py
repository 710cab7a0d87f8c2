"""The ordered list of IMAP extensions: one line for each file; CAPABILITY follows this order."""

from ..contract import ImapExtension
from .acl import EXTENSION as ACL
from .appendlimit import EXTENSION as APPENDLIMIT
from .binary import EXTENSION as BINARY
from .catenate import EXTENSION as CATENATE
from .children import EXTENSION as CHILDREN
from .compress import EXTENSION as COMPRESS
from .condstore import EXTENSION as CONDSTORE
from .context import EXTENSION as CONTEXT
from .enable import EXTENSION as ENABLE
from .esearch import EXTENSION as ESEARCH
from .fuzzy import EXTENSION as SEARCH_FUZZY
from .i18nlevel import EXTENSION as I18NLEVEL
from .id import EXTENSION as ID
from .idle import EXTENSION as IDLE
from .imap4rev2 import EXTENSION as IMAP4REV2
from .inprogress import EXTENSION as INPROGRESS
from .jmapaccess import EXTENSION as JMAPACCESS
from .list_extended import EXTENSION as LIST_EXTENDED
from .list_metadata import EXTENSION as LIST_METADATA
from .list_myrights import EXTENSION as LIST_MYRIGHTS
from .list_status import EXTENSION as LIST_STATUS
from .literalplus import EXTENSION as LITERALPLUS
from .messagelimit import EXTENSION as MESSAGELIMIT
from .metadata import EXTENSION as METADATA
from .move import EXTENSION as MOVE
from .multiappend import EXTENSION as MULTIAPPEND
from .multisearch import EXTENSION as MULTISEARCH
from .namespace import EXTENSION as NAMESPACE
from .notify import EXTENSION as NOTIFY
from .objectid import EXTENSION as OBJECTID
from .partial import EXTENSION as PARTIAL
from .preview import EXTENSION as PREVIEW
from .qresync import EXTENSION as QRESYNC
from .quota import EXTENSION as QUOTA
from .replace import EXTENSION as REPLACE
from .saslir import EXTENSION as SASL_IR
from .savedate import EXTENSION as SAVEDATE
from .sort import EXTENSION as SORT
from .sort_display import EXTENSION as SORT_DISPLAY
from .special_use import EXTENSION as SPECIAL_USE
from .status_size import EXTENSION as STATUS_SIZE
from .thread import EXTENSION as THREAD
from .uidbatches import EXTENSION as UIDBATCHES
from .uidonly import EXTENSION as UIDONLY
from .uidplus import EXTENSION as UIDPLUS
from .unauthenticate import EXTENSION as UNAUTHENTICATE
from .unselect import EXTENSION as UNSELECT
from .utf8_accept import EXTENSION as UTF8_ACCEPT
from .within import EXTENSION as WITHIN

EXTENSIONS: tuple[ImapExtension, ...] = (
    IMAP4REV2,
    SASL_IR,
    LITERALPLUS,
    ID,
    ENABLE,
    COMPRESS,
    UTF8_ACCEPT,
    UNAUTHENTICATE,
    IDLE,
    NOTIFY,
    INPROGRESS,
    NAMESPACE,
    CHILDREN,
    SPECIAL_USE,
    LIST_EXTENDED,
    LIST_STATUS,
    METADATA,
    LIST_METADATA,
    ACL,
    LIST_MYRIGHTS,
    STATUS_SIZE,
    APPENDLIMIT,
    QUOTA,
    MULTIAPPEND,
    MESSAGELIMIT,
    CATENATE,
    REPLACE,
    UNSELECT,
    UIDPLUS,
    MOVE,
    ESEARCH,
    OBJECTID,
    JMAPACCESS,
    CONDSTORE,
    QRESYNC,
    UIDONLY,
    UIDBATCHES,
    BINARY,
    SAVEDATE,
    PREVIEW,
    WITHIN,
    PARTIAL,
    SEARCH_FUZZY,
    SORT,
    SORT_DISPLAY,
    I18NLEVEL,
    THREAD,
    CONTEXT,
    MULTISEARCH,
)
