"""What SMTP asks of the ways out: a way or a sentence, a rewritten sender or nobody."""

from appliance.mail.address import Address, parse_address
from appliance.outbound.relay_check import RelayCheck

SMITH = parse_address("smith@outside.example")


class Routes:
    sentence = "Set up a relay."

    def __init__(self) -> None:
        self.asked: list[tuple[Address | None, str]] = []

    def destination(self, sender: Address | None, domain: str) -> str | None:
        self.asked.append((sender, domain))
        return None if domain == "blocked.example" else domain


class Senders:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def reverse(self, address: Address) -> Address | None:
        self.asked.append(str(address))
        return SMITH


def test_a_route_or_a_sentence() -> None:
    routes = Routes()
    relay_check = RelayCheck(destinations=routes, rewritten=Senders(), holds=True)
    assert relay_check.holds and relay_check.refusal(SMITH, parse_address("a@bücher.example")) is None
    assert relay_check.refusal(None, parse_address("a@[192.0.2.1]")) is None
    assert routes.asked == [(SMITH, "xn--bcher-kva.example"), (None, "[192.0.2.1]")]
    refused = relay_check.refusal(SMITH, parse_address("a@blocked.example"))
    assert refused is not None and str(refused) == "550 5.4.4 Set up a relay."
    assert relay_check.has_route(parse_address("a@x.example")) and not relay_check.has_route(parse_address("a@blocked.example"))


def test_only_what_looks_rewritten_is_worked_out() -> None:
    senders = Senders()
    relay_check = RelayCheck(destinations=Routes(), rewritten=senders, holds=False)
    assert relay_check.original(parse_address("fred@home.example")) is None and not senders.asked
    for local in ("SRS0=a", "srs1=a", "sRs0+a"):
        assert relay_check.original(Address(local, "home.example")) == SMITH
    assert len(senders.asked) == 3
