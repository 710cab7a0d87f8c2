"""MTA-STS: records, policies, names, and what is believed how long (RFC 8461)."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.certificates.contents import wanted
from appliance.mail.errors import LookupTrouble, MisuseError, PeerGone
from appliance.network.resolver import DnsAnswer, Found
from appliance.outbound.mta_sts import LONGEST_S, StsPolicies, StsPolicy, fetcher, matches, parse_policy, parse_record
from tests.support.accounts import a_family
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.clock import HandClock
from tests.support.https_server import HttpsServer
from tests.support.names import a_name_server, resolver_of

from .test_mx import spoil

ENFORCE = b"version: STSv1\r\nmode: enforce\r\nmx: mail.far.example\r\nmx: *.mx.far.example\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((b"v=STSv1; id=20160831085700Z;",), "20160831085700Z"),  # RFC 8461 §3.1
        ((b"v=STSv1;id=a1",), "a1"), ((b"v=STSv1 ; id=a1 ; other=x",), "a1"), ((b"v=spf1 -all", b"v=STSv1; id=1;"), "1"),
        ((), None), ((b"v=STSv1; id=1", b"v=STSv1; id=2"), None), ((b"v=STSv1",), None), ((b"v=STSv1; id=",), None),
        ((b"v=STSv1; id=" + b"a" * 33,), None), ((b"v=STSv1; id=a-b",), None), ((b"v=STSv2; id=1",), None), ((b"id=1; v=STSv1",), None),
        ((b"\xff\xfe",), None), ((b"v=STSv1; id=1; id=2",), "1"), ((b"v=STSv12; id=1",), None),
    ],
)  # fmt: skip
def test_records(values: tuple[bytes, ...], name: str | None) -> None:
    assert parse_record(values) == name


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (ENFORCE, StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (ENFORCE.replace(b"\r\n", b"\n"), StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (ENFORCE + b"x-new: y\r\n\r\n", StsPolicy("enforce", ("mail.far.example", "*.mx.far.example"), 604_800)),
        (b"version:STSv1\nmode:none\nmax_age:1", StsPolicy("none", (), 1)),
        (b"version: STSv1\nmode: testing\nmx: A.Example.\nmax_age: 9999999999", StsPolicy("testing", ("a.example",), LONGEST_S)),
        (b"version: STSv1\nmode: none\nmode: enforce\nmax_age: 1", StsPolicy("none", (), 1)),
    ],
)
def test_policies(text: bytes, policy: StsPolicy) -> None:
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff", ENFORCE.replace(b"STSv1", b"STSv2"), ENFORCE.replace(b"enforce", b"strict"), ENFORCE.replace(b"604800", b"-1"),
        ENFORCE.replace(b"604800", b"many"), b"version: STSv1\nmode: enforce\nmax_age: 1", ENFORCE + b"nonsense\r\n",
        ENFORCE.replace(b"*.mx", b"*mx"), ENFORCE + b"mx: a.*.example\r\n", ENFORCE + b"mx: x.example\r\n" * 200,
        ENFORCE.replace(b"max_age: 604800", b"max_age: \xd9\xa3"),
    ],
)  # fmt: skip
def test_invalid_policies(text: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_policy(text)


@pytest.mark.parametrize(
    ("pattern", "host", "so"),
    [
        ("mail.example", "mail.example", True), ("mail.example", "MAIL.example.", True), ("mail.example", "x.mail.example", False),
        ("*.example", "mail.example", True), ("*.example", "a.mail.example", False), ("*.example", "example", False),
        ("*.example", ".example", False), ("mail.example", "mail.example.evil", False),
    ],
)  # fmt: skip
def test_names(pattern: str, host: str, so: bool) -> None:
    assert matches(pattern, host) is so


class Names:
    def __init__(self) -> None:
        self.record: bytes | None = b"v=STSv1; id=1"
        self.silent = False

    async def txt(self, name: str) -> DnsAnswer[bytes]:
        assert name == "_mta-sts.far.example"
        if self.silent:
            raise LookupTrouble("silence")
        return DnsAnswer((self.record,), Found.YES, False) if self.record else DnsAnswer((), Found.NO_NAME, False)


class World:
    """A web server that says what the test wants."""

    def __init__(self, database: Any) -> None:
        self.names, self.clock, self.database = Names(), HandClock(), database
        self.says: tuple[str, bytes] | Exception = ("text/plain", ENFORCE)
        self.fetched = 0
        self.policies = self.anew()

    def anew(self) -> StsPolicies:
        self.policies = StsPolicies(names=self.names, database=self.database, clock=self.clock, fetch=self.fetch)  # type: ignore[arg-type]
        return self.policies

    async def fetch(self, domain: str) -> tuple[str, bytes]:
        self.fetched += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def mode(self) -> str:
        policy = await self.policies.of("far.example")
        return policy.mode if policy else ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with a_family(tmp_path, failure_s=0.0) as family:
        yield World(family.writer)


async def test_a_policy_is_fetched_once_and_valid_until_it_expires(world: World) -> None:
    assert [await world.mode(), await world.mode()] == ["enforce", "enforce"] and world.fetched == 1
    world.anew()
    world.names.silent = True
    assert await world.mode() == "enforce", "kept in the database, whatever happens to the record (§5.1)"
    world.names.silent, world.names.record = False, None
    assert await world.mode() == "enforce"
    world.clock.forward(604_801)
    assert await world.mode() == ""
    assert world.fetched == 1


async def test_a_new_id_brings_a_new_policy_and_a_failed_fetch_keeps_the_old(world: World) -> None:
    assert await world.mode() == "enforce"
    world.names.record, world.says = b"v=STSv1; id=2", PeerGone("gone")
    world.clock.forward(400)
    assert await world.mode() == "enforce" and world.fetched == 2
    assert await world.mode() == "enforce" and world.fetched == 2, "not again at once"
    world.clock.forward(400)
    world.says = ("text/plain", ENFORCE.replace(b"enforce", b"testing"))
    assert await world.mode() == "testing" and world.fetched == 3


@pytest.mark.parametrize("says", [PeerGone("x"), MisuseError("x"), LookupTrouble("x"), ("text/html", ENFORCE), ("text/plain", b"junk")])
async def test_without_a_policy_a_failed_fetch_is_none(world: World, says: Any) -> None:
    world.says = says
    assert await world.mode() == ""


# --- the fetch over real TLS ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCertificates]:
    yield make_certificates(tmp_path_factory.mktemp("web"), wanted("box", ["mta-sts.far.example"], []))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


async def test_the_fetcher_finds_the_web_server_by_name(certificates: TestCertificates) -> None:
    class Addresses:
        async def a(self, name: str) -> DnsAnswer[str]:
            assert name == "mta-sts.far.example"
            return DnsAnswer(("127.0.0.1",), Found.YES, False)

        async def aaaa(self, name: str) -> DnsAnswer[str]:
            return DnsAnswer((), Found.NO_DATA, False)

    with HttpsServer(certificates.server, HEAD + b"\r\n" + ENFORCE) as web:
        fetch = fetcher(Addresses(), certificates.client, web.port)  # type: ignore[arg-type]
        assert parse_policy((await fetch("far.example"))[1]).mode == "enforce"


@pytest.mark.parametrize("how", ["SERVFAIL", "NOTIMP", "REFUSED", "silence", "truncated"])
async def test_a_dns_query_without_an_answer_does_not_hide_the_policy(certificates: TestCertificates, how: str) -> None:
    async with a_name_server() as server:
        spoil(server, "mta-sts.far.example AAAA", how)
        server.add("mta-sts.far.example", "A", "127.0.0.1")
        with HttpsServer(certificates.server, HEAD + b"\r\n" + ENFORCE) as web:
            fetch = fetcher(resolver_of(server), certificates.client, web.port)
            assert parse_policy((await fetch("far.example"))[1]).mode == "enforce"
