"""A mailbox's keywords: which flag bit has which name (RFC 9051 §2.3.2).

A keyword keeps its bit for the mailbox's life, because sessions and rows know it by number. Names are compared
without regard to case and keep the case they first came in. TOO_MANY when the bits are used up.
"""

import sqlite3

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT, KEYWORDS_PER_MAILBOX, bits_of
from appliance.mail.ids import MailboxId

KEYWORD_OCTETS = 250
"""Longer than any in use; a flag list with 57 of these fits one line."""


def keywords_of(source: sqlite3.Connection | Transaction, mailbox: MailboxId) -> tuple[str, ...]:
    """`result[i]` is the name of flag bit KEYWORD_SHIFT + i."""
    return tuple([name for (name,) in source.execute("SELECT name FROM keyword WHERE mailbox = ? ORDER BY bit", (mailbox,)).fetchall()])


def bits_for(transaction: Transaction, mailbox: MailboxId, names: tuple[str, ...], make: bool = True) -> int:
    """The flags integer of flag names in this mailbox; unknown keywords are made, or left out when not `make`. Raises TOO_MANY, TOO_BIG."""
    bits, wanted = bits_of(names)
    if not wanted:
        return bits
    known = [name.lower() for name in keywords_of(transaction, mailbox)]
    for name in wanted:
        if name.lower() not in known:
            if not make:
                continue
            if len(known) >= KEYWORDS_PER_MAILBOX:
                raise StoreError(Trouble.TOO_MANY, f"a mailbox has at most {KEYWORDS_PER_MAILBOX} keywords")
            if len(name.encode()) > KEYWORD_OCTETS:
                raise StoreError(Trouble.TOO_BIG, f"a keyword has at most {KEYWORD_OCTETS} octets")
            transaction.execute("INSERT INTO keyword(mailbox, bit, name) VALUES (?, ?, ?)", (mailbox, len(known), name))
            known.append(name.lower())
        bits |= 1 << (KEYWORD_SHIFT + known.index(name.lower()))
    return bits


def translated(transaction: Transaction, source: MailboxId, target: MailboxId, used: int) -> str:
    """SQL that turns `flags` of the source mailbox into those of the target; `used`: the keyword bits that occur, shifted down.

    Raises TOO_MANY when the target has no room for them.
    """
    if not used or source == target:
        return "flags"
    names = keywords_of(transaction, source)
    moves = [(bit, bits_for(transaction, target, (name,))) for bit, name in enumerate(names) if used >> bit & 1]
    if all(1 << (KEYWORD_SHIFT + bit) == to for bit, to in moves):
        return "flags"
    return " | ".join(["(flags & 31)", *(f"((flags >> {KEYWORD_SHIFT + bit} & 1) << {to.bit_length() - 1})" for bit, to in moves)])
