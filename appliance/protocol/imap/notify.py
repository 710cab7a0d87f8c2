"""The arguments of NOTIFY: which events of which mailboxes (RFC 5465 §5, §6, §8). Raises MisuseError, and UnknownEvent; linear."""

from dataclasses import dataclass

from appliance.mail.errors import MisuseError

from .fetch import ATTRIBUTES, Attribute, parse_attribute
from .mailbox_filter import SELECTED, SELECTED_DELAYED, MailboxFilter, parse_filter
from .tokens import Tokens

EVENT_NAMES = (
    b"FlagChange", b"MessageNew", b"MessageExpunge", b"MailboxName", b"SubscriptionChange", b"MailboxMetadataChange",
    b"ServerMetadataChange",
)  # fmt: skip
"""All but AnnotationChange, which is of another extension (RFC 5465 §5.1)."""
EVENTS = frozenset(name.upper() for name in EVENT_NAMES)
OF_MESSAGES = frozenset(name.upper() for name in EVENT_NAMES[:3])


class UnknownEvent(MisuseError):
    """NO [BADEVENT ...] (RFC 5465 §3.1)."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    """One event group: of which mailboxes, events in upper case, FETCH attributes for new messages."""

    mailboxes: MailboxFilter
    events: frozenset[bytes]
    attributes: tuple[Attribute, ...] = ()

    @property
    def of_selected(self) -> bool:
        return self.mailboxes.word in (SELECTED, SELECTED_DELAYED)


@dataclass(frozen=True, slots=True)
class NotifyRequest:
    """The arguments of NOTIFY SET; None stands for NOTIFY NONE."""

    status: bool
    groups: tuple[EventGroup, ...]


def parse_notify(tokens: Tokens) -> NotifyRequest | None:
    """`SP "NONE"` or `SP "SET" [SP "STATUS"] 1*(SP group)` (RFC 5465 §8)."""
    tokens.space()
    word = tokens.keyword()
    if word == b"NONE":
        return None
    if word != b"SET":
        raise tokens.misuse("NOTIFY takes SET or NONE")
    status = tokens.accept(b" STATUS")
    groups: list[EventGroup] = []
    while tokens.accept(b" "):
        groups.append(_parse_group(tokens))
    if not groups:
        raise tokens.misuse("NOTIFY SET takes groups of events")
    if sum(group.of_selected for group in groups) > 1:
        raise MisuseError("the selected mailbox has one group of events")
    return NotifyRequest(status, tuple(groups))


def _parse_group(tokens: Tokens) -> EventGroup:
    """`"(" filter SP events ")"`; the events without parentheses too, as the example of RFC 5465 §3.1 has them."""
    tokens.expect(b"(")
    mailboxes = parse_filter(tokens, delayed=True)
    tokens.space()
    events: dict[bytes, tuple[Attribute, ...]] = {}
    if tokens.peek() == b"(":
        events.update(tokens.list_of(lambda: _parse_event(tokens)))
    elif not tokens.accept(b"NONE"):
        events.update([_parse_event(tokens)])
        while tokens.accept(b" "):
            events.update([_parse_event(tokens)])
    tokens.expect(b")")
    group = EventGroup(mailboxes, frozenset(events), events.get(b"MESSAGENEW", ()))
    _check(group)
    return group


def _parse_event(tokens: Tokens) -> tuple[bytes, tuple[Attribute, ...]]:
    event = tokens.keyword()
    if event not in EVENTS:
        raise UnknownEvent(f"there is no event {event.decode('ascii', 'replace')}")
    return event, parse_attributes(tokens) if event == b"MESSAGENEW" and tokens.begins(b" (") else ()


def parse_attributes(tokens: Tokens) -> tuple[Attribute, ...]:
    """`SP "(" fetch-att *(SP fetch-att) ")"`: what is fetched of new messages; repeats count once."""
    tokens.space()
    found = dict.fromkeys(tokens.list_of(lambda: parse_attribute(tokens)))
    if not 0 < len(found) <= ATTRIBUTES:
        raise tokens.misuse(f"the list has 1 to {ATTRIBUTES} attributes")
    return tuple(found)


def _check(group: EventGroup) -> None:
    """RFC 5465 §5, §6.1: new and expunged messages go together, flags need both, the selected mailbox has events of messages alone."""
    events = group.events
    if group.of_selected and events - OF_MESSAGES:
        raise MisuseError("only events of messages belong to the selected mailbox")
    if group.attributes and not group.of_selected:
        raise MisuseError("FETCH attributes belong to the selected mailbox")
    if (b"MESSAGENEW" in events) != (b"MESSAGEEXPUNGE" in events):
        raise MisuseError("MessageNew and MessageExpunge go together")
    if b"FLAGCHANGE" in events and b"MESSAGENEW" not in events:
        raise MisuseError("FlagChange needs MessageNew and MessageExpunge")
