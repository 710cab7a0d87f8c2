"""app: what the composition root builds from settings, without sockets."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from appliance.app.components import open_components, quota_lookup
from appliance.app.jmap import JmapParts
from appliance.app.listeners import LazyHandler, Services, endpoints, send_quota_of
from appliance.app.outbound import Outbound, is_global
from appliance.app.process import from_plain, plain
from appliance.config.settings import LISTEN_SECTION, RelaySettings, Settings
from appliance.mail.protocols import PROTOCOL_NAMES
from appliance.network.sockets import Endpoint

NOWHERE: dict[str, Any] = dict.fromkeys(PROTOCOL_NAMES, ())


def test_endpoints_follow_the_listen_section() -> None:
    listen = LISTEN_SECTION(**{**NOWHERE, "imaps": ("[::]:993", "10.0.0.1:1993"), "smtp": ("0.0.0.0:25",)})
    found = endpoints(replace(Settings(), listen=listen))
    assert found == [Endpoint("smtp", "0.0.0.0", 25), Endpoint("imaps", "::", 993), Endpoint("imaps", "10.0.0.1", 1993)]
    assert [one.protocol for one in endpoints(Settings())] == list(PROTOCOL_NAMES)


def test_settings_survive_exec() -> None:
    settings = replace(Settings(), relay=(RelaySettings(name="post", host="smtp.example", domains=("a.example",)),))
    assert from_plain(plain(settings)) == settings


async def test_a_service_is_made_once_and_when_first_used() -> None:
    made: list[str] = []
    served: list[object] = []

    def make() -> Any:
        made.append("service")

        async def handle(stream: object) -> None:
            served.append(stream)

        return handle

    handler = LazyHandler(make, trio.Lock())
    assert made == []
    async with trio.open_nursery() as nursery:
        for stream in ("a", "b", "c"):
            nursery.start_soon(handler, stream)
    assert made == ["service"] and sorted(served) == ["a", "b", "c"]  # type: ignore[type-var]


async def test_all_services_share_one_login(tmp_path: Path) -> None:
    """A throttle for each protocol would give a password guesser three times the tries."""
    async with open_components(tmp_path / "data", Settings()) as components:
        outbound = await Outbound.open(components)
        services = Services(components, outbound, JmapParts(components, send_quota_of(components), outbound))
        assert services._auth() is services._auth()
        for make in (services.smtp, services.imap, services.pop3):
            assert callable(make())


def test_quotas() -> None:
    stored = {1: SimpleNamespace(quota_octets=7), 2: SimpleNamespace(quota_octets=None)}
    accounts: Any = SimpleNamespace(directory=SimpleNamespace(account=stored.get))
    assert [quota_lookup(accounts, lambda: 5)(one) for one in (1, 2, 3)] == [7, 5, 5]  # type: ignore[arg-type]
    assert [quota_lookup(accounts, lambda: None)(one) for one in (1, 2, 3)] == [7, None, None]  # type: ignore[arg-type]


async def test_facts_of_a_domain_name_standard_ports(tmp_path: Path) -> None:
    """A server tried out on ports above 1024 is described as the internet would reach it."""
    async with open_components(tmp_path / "data", Settings()) as components:
        await components.accounts.add_domain("home.example")
        facts = await (await Outbound.open(components)).about("")
        assert facts.domain == "home.example" and dict(facts.services)["imaps"] == 993 and dict(facts.services)["smtp"] == 25


@pytest.mark.parametrize(("address", "reached"), [("8.8.8.8", True), ("192.168.1.1", False), ("fd00::1", False), ("2606:4700::1", True)])
def test_addresses_that_the_internet_can_reach(address: str, reached: bool) -> None:
    assert is_global(address) is reached
