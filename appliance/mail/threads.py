"""What threads a message belongs to: its ids, those it refers to, and its base subject (RFC 8621 §3).

Ids are msg-ids without angle brackets (RFC 5322 §3.6.4); In-Reply-To counts as references that follow those of References. Of many
references the first, which is the thread's root, and the last are kept, as RFC 5537 §3.4.4 trims them.
Linear, bounded by the limits below, never fails: what is no id is passed over.
"""

import re
from dataclasses import dataclass

from .encoding import decode_words
from .header_fields import HeaderFields

REFERENCES = 32
"""Kept of one message."""
ID_OCTETS = 250
"""A longer id is passed over; RFC 5322 §2.1.1 lets a line have 998, and none that programs make comes near."""
SUBJECT_OCTETS = 1000
"""Of a Subject, before encoded words are decoded."""

_ID = re.compile(rb"<([^<>\s]{1,250})>")
_BLANKS = re.compile(r"\s+")
_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(rf"\s+|(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:", re.IGNORECASE)
_ONE_BLOB = re.compile(_BLOB)
_TRAILER = re.compile(r"(?:\(fwd\)|\s)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """Two messages belong together when they share an id and have the same base subject (casefolded)."""

    message_id: bytes = b""
    references: tuple[bytes, ...] = ()
    base_subject: str = ""


def thread_keys(header_fields: HeaderFields) -> ThreadKeys:
    """Of the fields of a message's header."""
    own = _ids(header_fields, b"message-id")
    references = list(dict.fromkeys(_ids(header_fields, b"references") + _ids(header_fields, b"in-reply-to")))
    if len(references) > REFERENCES:
        references[1 : 1 - REFERENCES] = []
    subject = header_fields.get(b"subject")
    return ThreadKeys(own[0] if own else b"", tuple(references), base_subject(subject[-1]) if subject else "")


def _ids(header_fields: HeaderFields, name: bytes) -> list[bytes]:
    values = header_fields.get(name)
    return _ID.findall(values[-1]) if values else []


def base_subject(subject: bytes) -> str:
    """RFC 5256 §2.1, its steps numbered; casefolded, because base subjects are compared without regard to case."""
    subject = subject[:SUBJECT_OCTETS]
    text = _BLANKS.sub(" ", decode_words(subject) if b"=?" in subject else subject.decode("utf-8", "replace"))  # 1
    while True:
        while _TRAILER.search(text):  # 2
            text = _TRAILER.sub("", text)
        text = _without_leaders(text)  # 3 to 5
        if text[:5].lower() != "[fwd:" or not text.endswith("]"):
            return text.casefold()
        text = text[5:-1]  # 6


def _without_leaders(text: str) -> str:
    while True:
        if leader := _LEADER.match(text):
            text = text[leader.end() :]
        elif (blob := _ONE_BLOB.match(text)) and blob.end() < len(text):
            text = text[blob.end() :]
        else:
            return text
