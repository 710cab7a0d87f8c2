"""PARTIAL: a page of a search's results, and of the messages of UID FETCH (RFC 9394)."""

from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.partial import PartialRange, parse_partial
from appliance.protocol.imap.sequence import encode_set

from ..contract import FetchModifier, ImapExtension, SearchReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.protocol.imap.sequence import Ranges

    from ..client import ImapClient
    from ..plans import FetchPlan
    from ..selected import Selected


def encode(found: "Sequence[int]", partial: PartialRange) -> bytes:
    """The range as asked for, and the results in it, NIL when there are none (RFC 9394 §3.1)."""
    chosen = partial.of(len(found))
    return b"PARTIAL (%b %b)" % (partial.written, encode_set(found[chosen.start : chosen.stop]) or b"NIL")


def page(plan: "FetchPlan", partial: PartialRange) -> None:
    """Of the messages in the set, before any other modifier selects among them (RFC 9394 §3.3, §3.4)."""

    def check(client: "ImapClient") -> None:
        if not plan.uid:
            raise MisuseError("PARTIAL is a modifier of UID FETCH.")

    async def narrow(client: "ImapClient", selected: "Selected", positions: "Ranges") -> "Ranges":
        return partial.within(positions)

    plan.checks.append(check)
    plan.narrow.insert(0, narrow)


EXTENSION = ImapExtension(
    name="PARTIAL",
    rfc="RFC 9394",
    capability=lambda session: (b"PARTIAL",),
    fetch_modifiers=(FetchModifier(b"PARTIAL", parse_partial, page),),
    search_returns=(SearchReturn(b"PARTIAL", encode, lambda count, partial: partial.of(count), parse_partial, excludes=b"ALL"),),
)
