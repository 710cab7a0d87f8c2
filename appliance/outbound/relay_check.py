"""How messages leave, as SMTP asks it at RCPT: is there a way to this address, and whose bounces does this one stand for?

The answer to "no way" comes at once and says what to set up, so that nobody finds out five days later. Look-ups are in
memory; the name service is not asked here.
"""

from typing import Protocol

from appliance.mail.address import Address, ascii_domain
from appliance.mail.reply import Reply

REWRITTEN = ("srs0", "srs1")
"""How the local part of a rewritten sender begins; asked first, since working a signature out costs more."""


class DestinationLookup(Protocol):
    """The routes: `outbound/routing`."""

    def destination(self, sender: Address | None, domain: str) -> str | None:
        """Where messages of `sender` to the A-label domain or address literal queue; None when no way leads there."""
        ...

    @property
    def sentence(self) -> str:
        """What a person must set up where no way leads out."""
        ...


class ReverseRewriting(Protocol):
    """Senders rewritten for forwarding."""

    def reverse(self, address: Address) -> Address | None:
        """Whose bounces an address of ours stands for; None when it is altered, too old or none of ours."""
        ...


class RelayCheck:
    """`holds`: the queue keeps messages for FUTURERELEASE, those for people of the server too."""

    def __init__(self, *, destinations: DestinationLookup, rewritten: ReverseRewriting, holds: bool) -> None:
        self._destinations = destinations
        self._rewritten = rewritten
        self.holds = holds

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        """Why a message of `sender` cannot leave for `address`; None when it can."""
        if self._destinations.destination(sender, ascii_domain(address.domain)) is None:
            return Reply(550, "5.4.4", (self._destinations.sentence,))
        return None

    def has_route(self, address: Address) -> bool:
        """The same for a notice, which has no sender."""
        return self.refusal(None, address) is None

    def original(self, address: Address) -> Address | None:
        """Whose bounces this address stands for; None for every address that was not rewritten here."""
        if not address.local[:4].lower().startswith(REWRITTEN):
            return None
        return self._rewritten.reverse(address)
