"""What is demanded of a host: the table of the policies, row by row, and remembered TLS."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.errors import LookupTrouble, MisuseError
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.network.resolver import DnsAnswer, Found, Tlsa
from appliance.outbound.mta_sts import StsPolicy
from appliance.outbound.mx import MailHost
from appliance.outbound.tls_policy import GIVES_IN_S, SEEN_S, TlsPolicies, TlsPolicy
from tests.support.accounts import a_family
from tests.support.clock import HandClock

from .test_dane import CHAIN, LEAF, OTHER, tlsa

HOST = MailHost("mx.far.example", 10, ("192.0.2.1",), secure=True)
OPEN = MailHost("mx.far.example", 10, ("192.0.2.1",))
ENFORCE = StsPolicy("enforce", ("mx.far.example",), 1000)


@dataclass
class World:
    database: Any
    records: tuple[Tlsa, ...] = ()
    secure: bool = True
    silent: bool = False
    policy: StsPolicy | None = None
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.policies = self.anew()

    def anew(self) -> TlsPolicies:
        self.policies = TlsPolicies(
            names=self, database=self.database, clock=self.clock, policies=self,  # type: ignore[arg-type]
            make=lambda level: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )  # fmt: skip
        return self.policies

    async def tlsa(self, name: str) -> DnsAnswer[Tlsa]:
        assert name == "_25._tcp.mx.far.example"
        if self.silent:
            raise LookupTrouble("silence")
        return DnsAnswer(self.records, Found.YES if self.records else Found.NO_DATA, self.secure)

    async def of(self, domain: str) -> StsPolicy | None:
        return self.policy

    async def policy_for(self, host: MailHost = HOST, *, require_tls: bool = False) -> TlsPolicy | Outcome:
        return await self.policies.policy_for("far.example", host, require_tls=require_tls)

    async def level(self, host: MailHost = HOST, *, require_tls: bool = False) -> str:
        found = await self.policy_for(host, require_tls=require_tls)
        if isinstance(found, Outcome):
            return f"{found.action.value} {found.status}"
        return f"{found.level} {found.source}".strip()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with a_family(tmp_path, failure_s=0.0) as family:
        yield World(family.writer)


GOOD, USELESS = tlsa(3, 1, 1, LEAF), tlsa(1, 1, 1, LEAF)


@pytest.mark.parametrize(
    ("words", "host", "require_tls", "level"),
    [
        ({}, HOST, False, "may"),
        ({"records": (GOOD,)}, HOST, False, "dane dane"),
        ({"records": (GOOD,)}, HOST, True, "dane dane"),
        ({"records": (GOOD,)}, OPEN, False, "may"),
        ({"records": (GOOD,), "secure": False}, HOST, False, "may"),
        ({"records": (USELESS,)}, HOST, False, "encrypt dane"),
        ({"records": (USELESS, GOOD)}, HOST, False, "dane dane"),
        ({"records": (USELESS,)}, HOST, True, "verify requiretls"),
        ({"records": (GOOD,), "policy": ENFORCE}, HOST, False, "dane dane"),
        ({"silent": True}, HOST, False, "delayed 4.7.5"),
        ({"silent": True}, OPEN, False, "may"),
        ({"policy": ENFORCE}, OPEN, False, "verify mta-sts"),
        ({"policy": ENFORCE}, OPEN, True, "verify mta-sts"),
        ({"policy": StsPolicy("enforce", ("other.example",), 9)}, OPEN, False, "delayed 4.7.5"),
        ({"policy": StsPolicy("testing", ("other.example",), 9)}, OPEN, False, "may"),
        ({"policy": StsPolicy("none", (), 9)}, OPEN, False, "may"),
        ({}, HOST, True, "verify requiretls"),
        ({}, OPEN, True, "failed 5.7.30"),
        ({"policy": StsPolicy("testing", ("mx.far.example",), 9)}, OPEN, True, "failed 5.7.30"),
    ],
)
async def test_the_table(world: World, words: dict[str, Any], host: MailHost, require_tls: bool, level: str) -> None:
    for key, value in words.items():
        setattr(world, key, value)
    assert await world.level(host, require_tls=require_tls) == level


async def test_how_a_server_is_authenticated(world: World) -> None:
    assert TlsPolicy("may").check((), "mx") == "none" and TlsPolicy("encrypt", "remembered").check(CHAIN, "mx") == "none"
    assert TlsPolicy("verify", "mta-sts").check(CHAIN, "mx") == "mta-sts"
    assert TlsPolicy("verify", "requiretls").check(CHAIN, "mx") == "certificate"
    world.records = (GOOD,)
    found = await world.policy_for()
    assert isinstance(found, TlsPolicy) and found.check(CHAIN, "mx.far.example") == "dane"
    with pytest.raises(MisuseError, match="DANE"):
        found.check((OTHER.der,), "mx.far.example")
    assert TlsPolicy("verify").context().verify_mode is ssl.CERT_REQUIRED and TlsPolicy("verify").context().check_hostname
    assert TlsPolicy("dane").context().verify_mode is ssl.CERT_NONE and TlsPolicy("may").context().minimum_version is ssl.TLSVersion.TLSv1_2


async def test_tls_used_before_is_required_for_a_while(world: World) -> None:
    assert await world.level(OPEN) == "may"
    await world.policies.record_session("far.example", "mx.far.example", "", "")
    assert await world.level(OPEN) == "may", "plain text is nothing to remember"
    await world.policies.record_session("far.example", "mx.far.example", "TLSv1.3", "none")
    assert await world.level(OPEN) == "encrypt remembered"
    world.anew()
    assert await world.level(OPEN) == "encrypt remembered", "the database remembers"
    world.policies.record_failure("far.example")
    world.clock.forward(GIVES_IN_S - 1)
    assert await world.level(OPEN) == "encrypt remembered" and not world.policies.downgraded("far.example")
    world.clock.forward(1)
    assert await world.level(OPEN) == "may" and world.policies.downgraded("far.example")
    await world.policies.record_session("far.example", "mx.far.example", "TLSv1.3", "none")
    assert await world.level(OPEN) == "encrypt remembered"
    world.clock.forward(SEEN_S)
    assert await world.level(OPEN) == "may"


async def test_remembering_costs_one_write_a_month(world: World) -> None:
    written: list[object] = []
    keep, world.database.write_lazily = world.database.write_lazily, written.append
    for day in range(60):
        await world.policies.record_session("far.example", "mx.far.example", "TLSv1.3", "none")
        world.clock.forward(86_400)
        assert len(written) <= 1 + day // 30
    world.database.write_lazily = keep


async def test_the_reason_in_text(world: World) -> None:
    world.policy = StsPolicy("enforce", ("other.example",), 9)
    found = await world.policy_for(OPEN)
    assert isinstance(found, Outcome) and found.action is DsnAction.DEFERRED and found.reason is Reason.TLS and "MTA-STS" in found.text


EXPANDED = MailHost("mx.far.example", 10, ("192.0.2.1",), secure=True, expanded="real.far.example")
ALIAS = MailHost("mx.far.example", 10, ("192.0.2.1",), alias=True)
END, START = "_25._tcp.real.far.example", "_25._tcp.mx.far.example"


@pytest.mark.parametrize(
    ("host", "there", "level", "asked", "names"),
    [
        (EXPANDED, {END: (True, (GOOD,))}, "dane", [END], ("real.far.example", "mx.far.example", "far.example")),
        (EXPANDED, {START: (True, (GOOD,))}, "dane", [END, START], ("mx.far.example", "far.example")),
        (EXPANDED, {END: (False, (GOOD,)), START: (True, (GOOD,))}, "dane", [END, START], ("mx.far.example", "far.example")),
        (EXPANDED, {END: (True, (USELESS,)), START: (True, (GOOD,))}, "encrypt", [END], ()),
        (EXPANDED, {}, "may", [END, START], ()),
        (ALIAS, {START: (True, (GOOD,))}, "dane", [START], ("mx.far.example", "far.example")),
        (ALIAS, {START: (False, (GOOD,))}, "may", [START], ()),
        (OPEN, {START: (True, (GOOD,))}, "may", [], ()),
    ],
)
async def test_records_of_aliases(
    world: World, host: MailHost, there: dict[str, tuple[bool, tuple[Tlsa, ...]]], level: str, asked: list[str], names: tuple[str, ...]
) -> None:
    """RFC 7672 §2.2.2: at the end of secure CNAMEs first, then at the host's own name; at that alone where the end is not secure."""
    questions: list[str] = []

    async def ask(name: str) -> DnsAnswer[Tlsa]:
        questions.append(name)
        secure, records = there.get(name, (True, ()))
        return DnsAnswer(records, Found.YES if records else Found.NO_DATA, secure)

    world.tlsa = ask  # type: ignore[method-assign]
    found = await world.policy_for(host)
    assert isinstance(found, TlsPolicy) and (found.level, questions, found.names) == (level, asked, names)
