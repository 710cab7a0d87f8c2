"""Rights of one account on a mailbox of another (RFC 4314 §2.1), as values: a set of characters.

    | right  | what it allows                                                     |
    |--------|--------------------------------------------------------------------|
    | l      | to see the mailbox in lists                                        |
    | r      | to open it and read its messages                                   |
    | s      | to change \\Seen, which is one flag for all who see the mailbox     |
    | w      | to change other flags and keywords, save \\Deleted                  |
    | i      | to put messages in                                                 |
    | p      | to post to its address: kept, and nothing here asks for it         |
    | k      | to create mailboxes below it                                       |
    | x      | to delete or rename it                                             |
    | t      | to change \\Deleted                                                 |
    | e      | to expunge                                                         |
    | a      | to give and take rights                                            |

The owner of a mailbox has all of them for good. Everybody else has those given to the account and those given to `ANYONE`,
together (RFC 4314 §2 leaves it to servers how both are combined). `c` and `d` of RFC 2086 stand for `kx` and `te` (RFC 4314 §2.1.1).
"""

from collections.abc import Iterable, Mapping

from .errors import MisuseError
from .flags import DELETED, SEEN
from .ids import AccountId

Rights = frozenset[str]

ANYONE = AccountId(0)
"""No account has this number: rights of it are rights of all accounts, those that come later among them."""
CHARACTERS = "lrswipkxtea"
"""In the order they are written."""
ALL: Rights = frozenset(CHARACTERS)
NONE: Rights = frozenset()
FORMER: Mapping[str, Rights] = {"c": frozenset("kx"), "d": frozenset("te")}
WRITING: Rights = frozenset("swite")
"""One of these makes a mailbox more than read-only (RFC 4314 §5.2)."""

LEVELS: Mapping[str, Rights] = {"read": frozenset("lr"), "write": frozenset("lrswite"), "all": ALL}
"""Rights by a word, for people."""


def parse_rights(text: str) -> Rights:
    """Rights in any order. Raises MisuseError for one that is no right, upper-case ones included (RFC 4314 §3.1)."""
    found: set[str] = set()
    for character in text:
        if character in FORMER:
            found |= FORMER[character]
        elif character in ALL:
            found.add(character)
        else:
            raise MisuseError(f'"{character[:1]}" is no right; rights are characters of {CHARACTERS}')
    return frozenset(found)


def encode_rights(rights: Rights, *, former: bool = False) -> str:
    """The characters in order; with `former` those of RFC 2086 behind them, each where it is had in part (RFC 4314 §2.1.1)."""
    characters = "".join(character for character in CHARACTERS if character in rights)
    return characters + "".join(character for character, tied in FORMER.items() if tied & rights) if former else characters


def level_of(rights: Rights) -> str:
    """The word for rights, or their characters where no word fits."""
    return next((word for word, meant in LEVELS.items() if meant == rights), "") or encode_rights(rights)


# --- flags ---------------------------------------------------------------------------------------------


def flag_mask(rights: Rights) -> int:
    """The bits of a message's flags that may be changed; -1, every bit, with all three rights (RFC 4314 §4, STORE)."""
    others = -1 if "w" in rights else 0
    seen_and_deleted = (SEEN if "s" in rights else 0) | (DELETED if "t" in rights else 0)
    return others & ~(SEEN | DELETED) | seen_and_deleted


def changeable(names: Iterable[str], rights: Rights) -> tuple[str, ...]:
    """Those of these flags that may be changed."""
    return tuple(name for name in names if {"\\seen": "s", "\\deleted": "t"}.get(name.lower(), "w") in rights)
