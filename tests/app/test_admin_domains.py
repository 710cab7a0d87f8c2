"""app/admin_domains: aliases, domains, and what a domain is to publish."""

from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import ADA, admin_server


async def test_aliases_and_domains(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        await one.running.ask(controls.AddAlias("family@home.example", (ADA,)))
        assert (await one.running.ask(controls.ListAliases())).facts["aliases"] == [{"address": "family@home.example", "targets": [ADA]}]
        await one.running.ask(controls.AddDomain("other.example"))
        await one.running.ask(controls.SetCatchAll("other.example", ADA))
        rows = (await one.running.ask(controls.ListDomains())).facts["domains"]
        assert {row["name"]: row["catch_all"] for row in rows} == {"home.example": "", "other.example": ADA}
        kinds = {row["kind"] for row in (await one.running.ask(controls.DomainRecords("other.example"))).facts["records"]}
        assert {"MX", "TXT", "SRV"} <= kinds
        with pytest.raises(SetupError, match="not a domain of this server"):
            await one.running.ask(controls.DomainRecords("strange.example"))


async def test_an_alias_loses_one_target_or_all(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        made = await one.running.ask(controls.AddAlias("all@home.example", (ADA, "aunt@far.example")))
        assert made.facts == {"address": "all@home.example", "targets": [ADA, "aunt@far.example"]}
        left = await one.running.ask(controls.RemoveAlias("all@home.example", "aunt@far.example"))
        assert left.facts["targets"] == [ADA] and f"go to {ADA} only" in left.text
        assert "is gone" in (await one.running.ask(controls.RemoveAlias("all@home.example", ADA))).text
        assert (await one.running.ask(controls.ListAliases())).text == "No aliases."
        with pytest.raises(SetupError, match="no alias"):
            await one.running.ask(controls.RemoveAlias("all@home.example", ""))


async def test_a_catch_all_is_set_and_taken_back(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        assert f"go to {ADA}" in (await one.running.ask(controls.SetCatchAll("home.example", ADA))).text
        assert f"unknown names go to {ADA}" in (await one.running.ask(controls.ListDomains())).text
        assert "are refused" in (await one.running.ask(controls.SetCatchAll("home.example"))).text
        with pytest.raises(SetupError, match="neither an account nor an alias"):
            await one.running.ask(controls.SetCatchAll("home.example", "nobody@home.example"))


async def test_a_domain_in_use_stays_and_the_certificate_is_looked_at_again(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        looked: list[str] = []
        one.components.certificates.look_again = lambda: looked.append("again")  # type: ignore[method-assign]
        with pytest.raises(SetupError):
            await one.running.ask(controls.RemoveDomain("home.example"))
        assert looked == []
        await one.running.ask(controls.AddDomain("straße.example"))
        rows = (await one.running.ask(controls.DomainRecords("straße.example"))).facts
        assert rows["domain"] == "xn--strae-oqa.example"
        await one.running.ask(controls.RemoveDomain("straße.example"))
        assert looked == ["again"] * 2
