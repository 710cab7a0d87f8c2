"""What SMTP checks at RCPT: a route or a refusal, a rewritten sender or none."""

from appliance.mail.address import Address, parse_address
from appliance.outbound.relay_check import RelayCheck

SMITH = parse_address("smith@outside.example")


class Routes:
    refusal_text = "Set up a relay."

    def __init__(self) -> None:
        self.queries: list[tuple[Address | None, str]] = []

    def destination(self, sender: Address | None, domain: str) -> str | None:
        self.queries.append((sender, domain))
        return None if domain == "blocked.example" else domain


class Rewriting:
    def __init__(self) -> None:
        self.queries: list[str] = []

    def reverse(self, address: Address) -> Address | None:
        self.queries.append(str(address))
        return SMITH


def test_a_route_or_a_refusal() -> None:
    routes = Routes()
    relay_check = RelayCheck(routes=routes, rewriting=Rewriting(), holds=True)
    assert relay_check.holds and relay_check.refusal(SMITH, parse_address("a@bücher.example")) is None
    assert relay_check.refusal(None, parse_address("a@[192.0.2.1]")) is None
    assert routes.queries == [(SMITH, "xn--bcher-kva.example"), (None, "[192.0.2.1]")]
    refused = relay_check.refusal(SMITH, parse_address("a@blocked.example"))
    assert refused is not None and str(refused) == "550 5.4.4 Set up a relay."
    assert relay_check.has_route(parse_address("a@x.example")) and not relay_check.has_route(parse_address("a@blocked.example"))


def test_only_rewritten_prefixes_are_verified() -> None:
    rewriting = Rewriting()
    relay_check = RelayCheck(routes=Routes(), rewriting=rewriting, holds=False)
    assert relay_check.original(parse_address("fred@home.example")) is None and not rewriting.queries
    for local in ("SRS0=a", "srs1=a", "sRs0+a"):
        assert relay_check.original(Address(local, "home.example")) == SMITH
    assert len(rewriting.queries) == 3
