"""app/admin_certificates: the server's own certificate, and what is said where another one is in use."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import AdminServer, admin_server


def running_with(one: AdminServer, source: str, reloads: list[str]) -> AdminApi:
    """A running server whose TLS has its own certificate (`source` "server") or one named in the settings ("own")."""
    facts = SimpleNamespace(names=("mail.home.example",), not_before_at=1_700_000_000, not_after_at=1_800_000_000, fingerprint="AA:BB")
    tls: Any = SimpleNamespace(source=source, facts=facts, file=Path("/etc/own.pem"), reload=lambda: reloads.append("reload"))
    return AdminApi(one.components, one.outbound, Running(tls, stop=lambda ending: None, end_sessions=lambda: 0))


async def test_before_the_first_start_there_is_none(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        for request in (controls.ShowCertificate(), controls.ExportCertificate()):
            with pytest.raises(SetupError, match="has not made certificates yet"):
                await one.offline.ask(request)


async def test_shown_renewed_and_exported(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        reloads: list[str] = []
        running = running_with(one, "server", reloads)
        await one.components.certificates.ensure()
        before = (await one.offline.ask(controls.ExportCertificate())).facts["pem"]
        assert before.startswith("-----BEGIN CERTIFICATE-----") and "PRIVATE" not in before, "devices get no key"
        first = (one.components.certificates.server).read_text()
        renewed = await running.ask(controls.RenewCertificate())
        assert reloads == ["reload"] and one.components.certificates.server.read_text() != first
        assert renewed.facts["source"] == "server" and "authority to trust" in renewed.text
        assert (await running.ask(controls.ExportCertificate())).facts["pem"] == before, "the same authority: devices go on trusting it"
        assert "not running" in (await one.offline.ask(controls.ShowCertificate())).text


async def test_a_new_authority_says_what_every_device_needs(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        reloads: list[str] = []
        await one.components.certificates.ensure()
        before = (await one.offline.ask(controls.ExportCertificate())).facts["pem"]
        made = await running_with(one, "server", reloads).ask(controls.NewAuthority())
        assert "certificate export --out FILE" in made.text and reloads == ["reload"]
        assert (await one.offline.ask(controls.ExportCertificate())).facts["pem"] != before


async def test_a_certificate_of_the_settings_is_shown_and_not_renewed_here(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        running = running_with(one, "own", [])
        shown = await running.ask(controls.ShowCertificate())
        assert shown.facts["file"] == "/etc/own.pem" and "named in the settings" in shown.text and "AA:BB" in shown.text
        with pytest.raises(SetupError, match="did not make") as caught:
            await running.ask(controls.RenewCertificate())
        assert "without a restart" in caught.value.remedy
