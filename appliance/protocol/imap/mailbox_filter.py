"""Which mailboxes a command is about: `filter-mailboxes` (RFC 5465 §6, §8; RFC 7377 §4). Raises MisuseError; linear."""

from dataclasses import dataclass

from appliance.mail.errors import MisuseError
from appliance.mail.flags import INBOX

from .mailbox_name import SEPARATOR, NotAName
from .tokens import Tokens

SELECTED, SELECTED_DELAYED = b"SELECTED", b"SELECTED-DELAYED"
ALONE = (SELECTED, b"INBOXES", b"PERSONAL", b"SUBSCRIBED")
WITH_NAMES = (b"SUBTREE", b"SUBTREE-ONE", b"MAILBOXES")
NAMES = 500
"""In one filter."""
FILTERS = 50
"""In one command."""


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """`word` in upper case; `names` for those of WITH_NAMES. A name that no mailbox can have is left out: it matches none."""

    word: bytes
    names: tuple[str, ...] = ()

    def matches(self, name: str, *, own: bool, subscribed: bool) -> bool:
        """Whether a mailbox is meant, the user's own or another's; the SELECTED ones are for the session to resolve."""
        match self.word:
            case b"PERSONAL":
                return own
            case b"INBOXES":
                return name == INBOX
            case b"SUBSCRIBED":
                return subscribed
            case b"MAILBOXES":
                return name in self.names
            case b"SUBTREE":
                return any(name == root or name.startswith(root + SEPARATOR) for root in self.names)
            case b"SUBTREE-ONE":
                return any(name == root or name.rpartition(SEPARATOR)[::2] == (root, name[len(root) + 1 :]) for root in self.names)
        return False


def parse_filters(tokens: Tokens) -> tuple[MailboxFilter, ...]:
    """`filter *(SP filter)`, up to what is none."""
    found = [parse_filter(tokens)]
    while tokens.accept(b" "):
        if len(found) == FILTERS:
            raise MisuseError(f"more than {FILTERS} filters of mailboxes")
        found.append(parse_filter(tokens))
    return tuple(found)


def parse_filter(tokens: Tokens, *, delayed: bool = False) -> MailboxFilter:
    """One filter; `delayed`: SELECTED-DELAYED, which is NOTIFY's alone, may be it (RFC 5465 §6.1)."""
    word = tokens.keyword()
    if word in ALONE or (delayed and word == SELECTED_DELAYED):
        return MailboxFilter(word)
    if word not in WITH_NAMES:
        raise tokens.misuse("no such filter of mailboxes")
    tokens.space()
    names = tokens.list_of(lambda: _name(tokens)) if tokens.peek() == b"(" else [_name(tokens)]
    if len(names) > NAMES:
        raise MisuseError(f"more than {NAMES} mailboxes in one filter")
    if not names:
        raise tokens.misuse("a filter names at least one mailbox")
    return MailboxFilter(word, tuple([name for name in names if name is not None]))


def _name(tokens: Tokens) -> str | None:
    try:
        return tokens.mailbox()
    except NotAName:
        return None
