"""What threads a message belongs to: its ids, those it refers to, and its base subject (RFC 8621 §3, RFC 5256 §2.1).

Ids are msg-ids without angle brackets and needless quoting (RFC 5322 §3.6.4); In-Reply-To counts as references that follow those of
References. Of many references the first, which is the thread's root, and the last are kept, as RFC 5537 §3.4.4 trims them.
Linear, bounded by the limits below, never fails: what is no id is passed over.
"""

import re
from dataclasses import dataclass

from .collation import casemap
from .encoding import decode_words
from .header_fields import HeaderFields

REFERENCES = 32
"""Kept of one message."""
ID_OCTETS = 250
"""A longer id is passed over; RFC 5322 §2.1.1 lets a line have 998, and none that programs make comes near."""
RETURNED = -1
SUBJECT_OCTETS = 1000
"""Of a Subject, before encoded words are decoded."""

_ID = re.compile(rb"<([^<>\s@]{1,250}@[^<>\s]{1,250})>")
_QUOTED_ID = re.compile(rb'"((?:[^"\\]|\\.)*)"(@.*)')
_QUOTED_PAIR = re.compile(rb"\\(.)")
_BLANKS = re.compile(r"\s+")
_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(rf"\s+|(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:", re.IGNORECASE)
_ONE_BLOB = re.compile(_BLOB)
_TRAILER = re.compile(r"(?:\(fwd\)|\s)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """Two messages belong together when they share an id and have the same base subject (mapped by `casemap`).

    The first `own_references` of `references` are of the References field, the others of In-Reply-To alone; RETURNED: the only one is of
    the message that a report returns. `is_reply`: the subject is that of a reply or forward (RFC 5256 §3).
    """

    message_id: bytes = b""
    references: tuple[bytes, ...] = ()
    base_subject: str = ""
    own_references: int = 0
    is_reply: bool = False


def thread_keys(header_fields: HeaderFields, returned: HeaderFields | None = None) -> ThreadKeys:
    """Of the fields of a message's header. `returned`: those of the message that a report has in it, named where the header names none
    (Postfix's DSNs have neither References nor In-Reply-To)."""
    own = _ids(header_fields, b"message-id")
    referred = _ids(header_fields, b"references")  # with repetitions: the last one is the parent
    replied = [one for one in dict.fromkeys(_ids(header_fields, b"in-reply-to")) if one not in referred]
    references = referred + replied
    if len(references) > REFERENCES:
        references[1 : 1 - REFERENCES] = []
    kept = min(len(referred), max(len(references) - len(replied), 1))
    if not references and returned and (references := _ids(returned, b"message-id")[:1]):
        kept = RETURNED
    subject = header_fields.get(b"subject")
    base, is_reply = analysed_subject(subject[-1]) if subject else ("", False)
    return ThreadKeys(own[0] if own else b"", tuple(references), casemap(base), kept, is_reply)


def _ids(header_fields: HeaderFields, name: bytes) -> list[bytes]:
    values = header_fields.get(name)
    found = _ID.findall(values[-1]) if values else []
    return [_unquoted(one) if b'"' in one else one for one in found if len(one) <= ID_OCTETS]


def _unquoted(identifier: bytes) -> bytes:
    """A msg-id without needless quoting: `"a"@b` is the same as `a@b` (RFC 5256 §3)."""
    quoted = _QUOTED_ID.fullmatch(identifier)
    return _QUOTED_PAIR.sub(rb"\1", quoted[1]) + quoted[2] if quoted else identifier


def base_subject(subject: bytes) -> str:
    """RFC 5256 §2.1, mapped by i;unicode-casemap, because base subjects are compared by that collation (RFC 5255 §4.3)."""
    return casemap(analysed_subject(subject)[0])


def analysed_subject(subject: bytes) -> tuple[str, bool]:
    """RFC 5256 §2.1, its steps numbered: the base subject as written, and whether the subject is that of a reply or forward (§3)."""
    subject = subject[:SUBJECT_OCTETS]
    text = _BLANKS.sub(" ", decode_words(subject) if b"=?" in subject else subject.decode("utf-8", "replace"))  # 1
    is_reply = False
    while True:
        while trailer := _TRAILER.search(text):  # 2
            is_reply = is_reply or trailer[0] != " "
            text = text[: trailer.start()]
        text, leader = _without_leaders(text)  # 3 to 5
        is_reply = is_reply or leader
        if text[:5].lower() != "[fwd:" or not text.endswith("]"):
            return text, is_reply
        text, is_reply = text[5:-1], True  # 6


def _without_leaders(text: str) -> tuple[str, bool]:
    """The rest, and whether one of the leaders was more than a space."""
    found = False
    while True:
        if leader := _LEADER.match(text):
            found = found or not leader[0].isspace()
            text = text[leader.end() :]
        elif (blob := _ONE_BLOB.match(text)) and blob.end() < len(text):
            text = text[blob.end() :]
        else:
            return text, found
