"""Remote addresses for tests of SMTP: every domain is reached but blocked.example; two addresses of ours are rewritten senders."""

from dataclasses import dataclass

from appliance.mail.address import Address, parse_address
from appliance.mail.reply import Reply

FRED = parse_address("fred@example.org")
STRANGER = parse_address("smith@outside.example")
BOUNCE = parse_address("SRS0=aB1c=Xy=outside.example=smith@example.org")
OURS = parse_address("srs0=ours@example.org")
SET_A_RELAY = Reply(550, "5.4.4", ("Set up a relay.",))


@dataclass(frozen=True, slots=True)
class SomeRemoteAddresses:
    holds: bool = True

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        return SET_A_RELAY if address.domain == "blocked.example" else None

    def original(self, address: Address) -> Address | None:
        return STRANGER if address == BOUNCE else FRED if address == OURS else None
