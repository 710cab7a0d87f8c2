"""What SMTP checks at RCPT: is there a route to this address, and is it a rewritten sender whose bounces are forwarded?

An address without a route is refused at once with what to set up, rather than bounced after five days. Lookups are in memory; the
DNS is not queried here.
"""

from typing import Protocol

from appliance.delivery.route import DestinationFinder
from appliance.mail.address import Address, ascii_domain
from appliance.mail.reply import Reply

REWRITTEN = ("srs0", "srs1")
"""Prefixes of a rewritten local part; checked first, since verifying the hash costs more."""


class RelayRoutes(DestinationFinder, Protocol):
    """The routes: `outbound/routing`."""

    @property
    def refusal_text(self) -> str:
        """What to set up where there is no route."""
        ...


class ReverseRewriter(Protocol):
    """Undoes sender rewriting: `delivery.sender_rewriting`."""

    def reverse(self, address: Address) -> Address | None:
        """The sender whose bounces this address receives; None when it is forged, expired or not rewritten."""
        ...


class RelayCheck:
    """`holds`: the queue holds messages for FUTURERELEASE, those to local accounts too."""

    def __init__(self, *, routes: RelayRoutes, rewriting: ReverseRewriter, holds: bool) -> None:
        self._routes = routes
        self._rewriting = rewriting
        self.holds = holds

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        """Why a message from `sender` cannot be relayed to `address`; None when it can."""
        if self._routes.destination(sender, ascii_domain(address.domain)) is None:
            return Reply(550, "5.4.4", (self._routes.refusal_text,))
        return None

    def has_route(self, address: Address) -> bool:
        """The same for a DSN, which has no sender."""
        return self.refusal(None, address) is None

    def original(self, address: Address) -> Address | None:
        """The sender whose bounces this address receives; None for every address that was not rewritten here."""
        if not address.local[:4].lower().startswith(REWRITTEN):
            return None
        return self._rewriting.reverse(address)
