"""Admin requests about domains and aliases, and what a domain is to publish in the DNS."""

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.sentence import Sentence, joined

from .admin_certificates import names_left_out
from .admin_request import Answers
from .components import Components
from .outbound import Outbound

DKIM_LABEL = "._domainkey."


class DomainRequests:
    """Answers what is asked about domains and aliases; a refusal is SetupError, and then nothing has changed."""

    def __init__(self, components: Components, outbound: Outbound) -> None:
        self._components = components
        self._outbound = outbound

    def answers(self) -> Answers:
        return (
            (controls.AddAlias, self.add_alias),
            (controls.RemoveAlias, self.remove_alias),
            (controls.ListAliases, self.list_aliases),
            (controls.AddDomain, self.add_domain),
            (controls.RemoveDomain, self.remove_domain),
            (controls.ListDomains, self.list_domains),
            (controls.SetCatchAll, self.set_catch_all),
            (controls.DomainRecords, self.domain_records),
            (controls.DomainCheck, self.domain_check),
        )

    async def add_alias(self, request: controls.AddAlias) -> Response:
        await self._components.accounts.add_alias(request.address, *request.targets)
        text = Sentence("Messages to %(alias)s go to %(target)s.", alias=request.address, target=", ".join(request.targets))
        return Response(text, {"address": request.address, "targets": list(request.targets)})

    async def remove_alias(self, request: controls.RemoveAlias) -> Response:
        left = await self._components.accounts.remove_alias(request.address, request.target or None)
        text = Sentence("The alias %(alias)s is gone.", alias=request.address)
        if left:
            text = Sentence("Messages to %(alias)s go to %(target)s only.", alias=request.address, target=", ".join(left))
        return Response(text, {"address": request.address, "targets": list(left)})

    async def list_aliases(self, request: controls.ListAliases) -> Response:
        rows = [{"address": alias, "targets": list(targets)} for alias, targets in self._components.accounts.directory.aliases()]
        return Response(
            "\n".join(f"{row['address']} -> {', '.join(row['targets'])}" for row in rows) or Sentence("No aliases."), {"aliases": rows}
        )

    async def add_domain(self, request: controls.AddDomain) -> Response:
        name = await self._components.accounts.add_domain(request.name)
        self._components.certificates.look_again()
        text = Sentence("The server accepts messages for %(name)s now.", name=name)
        return Response(joined(text, names_left_out(self._components.certificates), by="\n"), {"name": name})

    async def remove_domain(self, request: controls.RemoveDomain) -> Response:
        await self._components.accounts.remove_domain(request.name)
        self._components.certificates.look_again()
        return Response(Sentence("The server accepts no more messages for %(name)s.", name=request.name), {"name": request.name})

    async def list_domains(self, request: controls.ListDomains) -> Response:
        directory = self._components.accounts.directory
        rows = [{"name": name, "catch_all": directory.catch_all(name)} for name in directory.domains()]
        lines = [
            Sentence("%(name)s (unknown names go to %(others)s)", name=row["name"], others=row["catch_all"])
            if row["catch_all"]
            else row["name"]
            for row in rows
        ]
        return Response(joined(*lines, by="\n") or Sentence("No domain yet: the first account brings one."), {"domains": rows})

    async def set_catch_all(self, request: controls.SetCatchAll) -> Response:
        await self._components.accounts.set_catch_all(request.name, request.address or None)
        text = Sentence("Messages to unknown names at %(name)s are refused.", name=request.name)
        if request.address:
            text = Sentence("Messages to unknown names at %(name)s go to %(address)s.", name=request.name, address=request.address)
        return Response(text, {"name": request.name, "catch_all": request.address})

    async def domain_records(self, request: controls.DomainRecords) -> Response:
        from appliance.dns_setup.records import records, zone_text

        facts = await self._outbound.about(request.name)
        found = records(facts)
        rows = [{"name": one.name, "kind": one.kind, "value": one.value, "why": one.why} for one in found]
        await self._outbound.records_shown()
        heading = Sentence("; for %(domain)s, to be published where its name servers are managed", domain=facts.domain)
        text = joined(heading, zone_text(found), by="\n")
        return Response(text, {"domain": facts.domain, "records": rows})

    async def domain_check(self, request: controls.DomainCheck) -> Response:
        from appliance.dns_setup.check import check, findings_text

        facts = await self._outbound.about(request.name)
        found = await check(facts, self._outbound.resolver())
        if all(one.state == "right" for one in found if DKIM_LABEL in one.record.name):
            await self._outbound.records_shown()
        rows = [
            {"name": one.record.name, "kind": one.record.kind, "state": one.state, "found": one.found, "advice": one.advice}
            for one in found
        ]
        return Response(findings_text(found), {"domain": facts.domain, "findings": rows})
