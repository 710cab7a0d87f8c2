"""A mailbox's keywords: which flag bit has which name (RFC 9051 §2.3.2).

A keyword keeps its bit while a message carries it. When every bit has a name, one that no message carries gets the next new name:
only in the transaction that needs it, after that transaction found no row with the bit. So a row's bits mean what the names of any
instant say at which the row was as it is: names and rows are read in one transaction, never in two.
Names are compared without regard to case and keep the case they first came in.
"""

# ruff: noqa: S608 - a shift that is a number of ours, values are always parameters

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT, KEYWORDS_PER_MAILBOX, bits_of
from appliance.mail.ids import MailboxId

from .messages import numbers

KEYWORD_OCTETS = 250
"""Longer than any in use; a flag list with 57 of these fits one line."""


def keywords_of(source: sqlite3.Connection | Transaction, mailbox: MailboxId) -> tuple[str, ...]:
    """`result[i]` is the name of flag bit KEYWORD_SHIFT + i."""
    return tuple([name for (name,) in source.execute("SELECT name FROM keyword WHERE mailbox = ? ORDER BY bit", (mailbox,)).fetchall()])


def bits_known(transaction: Transaction, mailbox: MailboxId, names: tuple[str, ...]) -> int:
    """The flags integer of flag names in this mailbox; keywords it does not have are left out."""
    bits, wanted = bits_of(names)
    if not wanted:
        return bits
    known = {name.lower(): place for place, name in enumerate(keywords_of(transaction, mailbox))}
    return bits | _integer(known[name.lower()] for name in wanted if name.lower() in known)


def bits_for(transaction: Transaction, mailbox: MailboxId, names: tuple[str, ...], *, spare: bool = False) -> int:
    """The flags integer of flag names in this mailbox, where unknown keywords are made.

    One without room raises TOO_MANY, a too long one TOO_BIG; `spare` leaves both out: losing a keyword is better than refusing the message.
    """
    bits, wanted = bits_of(names)
    return bits | _integer(place for place in _places(transaction, mailbox, wanted, spare=spare) if place is not None) if wanted else bits


def translated(transaction: Transaction, source: MailboxId, target: MailboxId, used: int) -> str:
    """SQL that turns `flags` of the source mailbox into those of the target; `used`: the keyword bits that occur, shifted down.

    Keywords the target has no room for are left out.
    """
    if not used or source == target:
        return "flags"
    names = [(place, name) for place, name in enumerate(keywords_of(transaction, source)) if used >> place & 1]
    places = _places(transaction, target, [name for _, name in names], spare=True)
    moves = [(place, to) for (place, _), to in zip(names, places, strict=True)]
    if all(place == to for place, to in moves):
        return "flags"
    terms = [f"((flags >> {KEYWORD_SHIFT + place} & 1) << {KEYWORD_SHIFT + to})" for place, to in moves if to is not None]
    return " | ".join(["(flags & 31)", *terms])


def _integer(places: Iterable[int]) -> int:
    bits = 0
    for place in places:
        bits |= 1 << (KEYWORD_SHIFT + place)
    return bits


def _places(transaction: Transaction, mailbox: MailboxId, wanted: Sequence[str], *, spare: bool) -> list[int | None]:
    """The place of each keyword, made where it is new; None for one that is left out when `spare`."""
    known: dict[str, int | None] = {name.lower(): place for place, name in enumerate(keywords_of(transaction, mailbox))}
    new = [name for name in wanted if name.lower() not in known]
    if new:
        room = _room(transaction, mailbox, len(known), {known.get(name.lower()) for name in wanted}, len(new))
        for name in new:
            known[name.lower()] = place = next(room, None) if len(name.encode()) <= KEYWORD_OCTETS else None
            if place is not None:
                transaction.execute("INSERT OR REPLACE INTO keyword(mailbox, bit, name) VALUES (?, ?, ?)", (mailbox, place, name))
            elif not spare:
                raise _no_room(name)
    return [known[name.lower()] for name in wanted]


def _no_room(name: str) -> StoreError:
    if len(name.encode()) > KEYWORD_OCTETS:
        return StoreError(Trouble.TOO_BIG, f"a keyword has at most {KEYWORD_OCTETS} octets")
    return StoreError(Trouble.TOO_MANY, f"a mailbox has at most {KEYWORDS_PER_MAILBOX} keywords in use")


def _room(transaction: Transaction, mailbox: MailboxId, named: int, wanted: set[int | None], count: int) -> Iterator[int]:
    """Places for up to `count` new keywords: those without a name first, then those no message carries, save the `wanted`."""
    places = list(range(named, KEYWORDS_PER_MAILBOX))
    if len(places) < count:
        places += [place for place in unused(transaction, mailbox) if place < named and place not in wanted]
    return iter(places)


def unused(source: sqlite3.Connection | Transaction, mailbox: MailboxId) -> list[int]:
    """Places of keywords that no message carries; one pass over the mailbox's rows."""
    found = source.execute(
        f"SELECT group_concat(k) FROM (SELECT DISTINCT flags >> {KEYWORD_SHIFT:d} AS k FROM message WHERE mailbox = ?)", (mailbox,)
    ).fetchone()[0]
    used = 0
    for combination in numbers(found):
        used |= combination
    return [place for place in range(KEYWORDS_PER_MAILBOX) if not used >> place & 1]
