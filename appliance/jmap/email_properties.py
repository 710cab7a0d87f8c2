"""Keywords and mailboxes of an Email as a client gives them (RFC 8621 §4.1.1)."""

import re
from collections.abc import Mapping
from typing import Any

from appliance.mail.ids import MailboxId
from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.protocol.jmap.references import created_id

from .email import SYSTEM_KEYWORDS
from .ids import parse_id

SYSTEM_FLAGS = {keyword: flag for flag, keyword in SYSTEM_KEYWORDS.items()}
MOST_KEYWORDS = 57
_KEYWORD = re.compile(r"[!#-$&-'+-\[^-z|}~]{1,250}")
"""Printable ASCII but ( ) { ] % * " and the backslash (RFC 8621 §4.1.1)."""


def flags_of(keywords: Any, before: frozenset[str] = frozenset()) -> frozenset[str]:
    """Flag names of a `keywords` object; a keyword that is there keeps its spelling. Raises SetError."""
    if not isinstance(keywords, dict) or not all(value is True and _KEYWORD.fullmatch(name) for name, value in keywords.items()):
        raise invalid_properties("Keywords map a name of printable ASCII to true.", "keywords")
    if len(keywords) > MOST_KEYWORDS:
        raise SetError("tooManyKeywords", f"A message has at most {MOST_KEYWORDS} keywords.")
    spelled = {name.lower(): name for name in before}
    return frozenset(SYSTEM_FLAGS.get(name.lower()) or spelled.get(name.lower(), name.lower()) for name in keywords)


def mailboxes_of(mailboxes: Any, created: Mapping[str, str]) -> frozenset[MailboxId]:
    """Raises SetError."""
    if not isinstance(mailboxes, dict) or not mailboxes or not all(value is True for value in mailboxes.values()):
        raise invalid_properties("A message is in at least one mailbox: map ids of mailboxes to true.", "mailboxIds")
    numbers = [parse_id("F", created_id(one, created) or "") for one in mailboxes]
    if None in numbers:
        raise invalid_properties("There is no such mailbox.", "mailboxIds")
    return frozenset(MailboxId(number) for number in numbers if number is not None)
