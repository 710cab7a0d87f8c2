"""Rewrite the senders of forwarded messages with the server's SRS secret (`mail.srs`), and undo it for bounces."""

from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.srs import reverse, rewrite

DAY_S = 86_400


class SenderRewriting:
    """Expiry of rewritten addresses is checked only while the clock is trusted."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def rewrite(self, sender: Address, domain: str) -> Address:
        """An address at our `domain` whose bounces are forwarded to `sender`."""
        return rewrite(sender, domain, secret=self._secret, day=self._day())

    def reverse(self, address: Address) -> Address | None:
        """The sender whose bounces this address receives; None when it is forged, expired or not rewritten."""
        return reverse(address, secret=self._secret, day=self._day() if self._clock.trusted() else None)

    def _day(self) -> int:
        return int(self._clock.wall_s()) // DAY_S
