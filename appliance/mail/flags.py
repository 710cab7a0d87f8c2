"""Message flags and mailbox attributes as values (RFC 9051 §2.3.2, RFC 6154).

The store keeps a message's flags as one integer: five bits for the system flags below, the bits from
KEYWORD_SHIFT on for the mailbox's keywords in the order they first appeared there.
"""

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16
SYSTEM_MASK = 31
KEYWORD_SHIFT = 5
KEYWORDS_PER_MAILBOX = 57
"""SQLite's integers have 63 usable bits; five are the system flags and one stays unused."""

SYSTEM_NAMES: tuple[tuple[int, str], ...] = (
    (ANSWERED, "\\Answered"),
    (FLAGGED, "\\Flagged"),
    (DELETED, "\\Deleted"),
    (SEEN, "\\Seen"),
    (DRAFT, "\\Draft"),
)

HAS_ATTACHMENT, HAS_NO_ATTACHMENT = "$HasAttachment", "$HasNoAttachment"
"""One of the two is set when a message is delivered, so that lists can show a sign; clients may change it (RFC 9979 §4)."""

INBOX = "INBOX"
TRASH = "\\Trash"
SPECIAL_USE: tuple[tuple[str, str], ...] = (
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", TRASH),
    ("Archive", "\\Archive"),
)
"""Mailboxes that every account has besides INBOX, subscribed from the start: (name, attribute)."""
FURTHER_USES = ("\\Memos", "\\Snoozed")
"""Attributes that a mailbox may be made with as well (RFC 9979 §9); what they mean is up to the clients that use them."""


def bits_of(names: "list[str] | tuple[str, ...]") -> tuple[int, tuple[str, ...]]:
    """System flag bits, and the keywords (in order, without duplicates, case preserved), of flag names."""
    system, keywords, seen = 0, [], set()
    table = {name.lower(): bit for bit, name in SYSTEM_NAMES}
    for name in names:
        low = name.lower()
        if low in table:
            system |= table[low]
        elif low not in seen and not low.startswith("\\"):
            seen.add(low)
            keywords.append(name)
    return system, tuple(keywords)
