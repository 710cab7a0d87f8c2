"""app/web: what the web is told of the server."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.app.web import DAY_S, public_days_of, search_domains
from appliance.app.web_address import own_addresses
from appliance.mail.errors import LookupTrouble
from appliance.runtime.host import host_addresses


def test_search_domains(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert search_domains(file) == ()
    file.write_text("# made by DHCP\nnameserver 192.0.2.1\nsearch Fritz.Box lan.\ndomain home.arpa\n")
    assert search_domains(file) == ("fritz.box", "lan", "home.arpa")


def test_only_a_publicly_trusted_certificate_has_days(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = SimpleNamespace(fingerprint="AB", not_after_at=100 * DAY_S, names=("mail.home.example",))
    tls: Any = SimpleNamespace(source="server", facts=facts)
    certificate = SimpleNamespace(file="/none.pem", key="/none.pem")
    clock = SimpleNamespace(wall_s=lambda: 90.0 * DAY_S, trusted=lambda: True)
    components: Any = SimpleNamespace(settings=SimpleNamespace(certificate=certificate), clock=clock)
    assert public_days_of(components, tls)() == 0.0
    tls.source = "own"
    assert public_days_of(components, tls)() == 0.0, "a file that is not there is not public"
    monkeypatch.setattr("appliance.app.web._is_public", lambda *words: True)
    days = public_days_of(components, tls)
    assert days() == 10.0
    facts.fingerprint = "CD"
    assert days() == 0.0, "what took its place is judged at the next start"


async def test_the_address_of_the_router_is_the_servers_too() -> None:
    async def resolve(name: str) -> tuple[str, ...]:
        if name != "mail.home.example":
            raise LookupTrouble(name)
        return ("93.184.216.34",)

    assert "93.184.216.34" in await own_addresses(resolve, "mail.home.example")
    assert set(host_addresses()) == set(await own_addresses(resolve, "unknown.example"))
