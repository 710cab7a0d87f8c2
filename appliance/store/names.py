"""What a mailbox may be called.

Names are NFC, levels apart by "/", INBOX always spelled so. Refused with BAD_NAME: empty levels, "." and ".." (names
become folders on export), control characters and U+2028/9 (RFC 9051 §5.1), the wildcards "*" and "%", what has no
UTF-8 form, and names beyond the limits. Pure.
"""

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.limits import MAILBOX_LEVELS, MAILBOX_NAME_OCTETS

SEPARATOR = "/"
AFTER_SEPARATOR = "0"
"""The character after "/": names between `x/` and `x0` are the children of x."""


def known_as(name: str) -> str:
    """The spelling under which a name is looked up; never fails: what has no UTF-8 form becomes a name nothing can have."""
    if not name.isascii():
        import unicodedata  # a megabyte that a server with plain names never needs

        try:
            name.encode()
        except UnicodeEncodeError:
            return "\0"
        name = unicodedata.normalize("NFC", name)
    first, slash, rest = name.partition(SEPARATOR)
    return INBOX + slash + rest if first.upper() == INBOX else name


def proper(name: str) -> str:
    """The spelling under which a name is kept, one trailing "/" dropped (RFC 9051 §6.3.4); raises BAD_NAME."""
    name = known_as(name.removesuffix(SEPARATOR))
    levels = name.split(SEPARATOR)
    if len(name.encode()) > MAILBOX_NAME_OCTETS or len(levels) > MAILBOX_LEVELS:
        raise StoreError(Trouble.BAD_NAME, f"a name has at most {MAILBOX_NAME_OCTETS} octets and {MAILBOX_LEVELS} levels")
    if any(level in ("", ".", "..") for level in levels) or any(_refused(character) for character in name):
        raise StoreError(Trouble.BAD_NAME)
    return name


def _refused(character: str) -> bool:
    code = ord(character)
    return code < 32 or 127 <= code < 160 or character in "*%\u2028\u2029"


def superiors(name: str) -> list[str]:
    """The names above, outermost first."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]


def below(name: str) -> tuple[str, str]:
    """Children's names lie strictly between these two."""
    return name + SEPARATOR, name + AFTER_SEPARATOR
