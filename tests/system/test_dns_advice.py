"""What to publish, and whether it is right: every kind of record right, wrong and missing, asked of a real name server."""

from collections.abc import AsyncIterator

import pytest

from appliance.network.resolver import Resolver
from appliance.system.dns_advice import Facts, Finding, Record, check, findings_text, quoted, records, zone_text
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server

KEY = "v=DKIM1; k=rsa; p=" + "A" * 300
FACTS = Facts(
    "home.example", "mail.home.example", ("203.0.113.7",), (("smtp", 25), ("submissions", 465), ("imaps", 993), ("imap", 143)),
    (("pillarbox-rsa", KEY),), ("include:_spf.provider.example",), "postmaster@home.example",
)  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Everything published as it should be."""
    async with a_name_server() as server:
        for record in records(FACTS):
            server.add(record.name, record.kind, quoted(record.value) if record.kind == "TXT" else record.value)
        server.add("_spf.provider.example", "TXT", '"v=spf1 ip4:198.51.100.0/24 -all"')
        server.add("7.113.0.203.in-addr.arpa", "PTR", "mail.home.example.")
        yield server


async def findings(server: NameServer, facts: Facts = FACTS) -> dict[str, Finding]:
    resolver = Resolver([("127.0.0.1", server.port)], HandClock())
    return {f"{one.record.kind} {one.record.name}": one for one in await check(facts, resolver)}


async def states(server: NameServer, facts: Facts = FACTS) -> dict[str, str]:
    return {key: one.state for key, one in (await findings(server, facts)).items()}


def test_the_records_in_order_and_as_text() -> None:
    assert [f"{one.kind} {one.name}" for one in records(FACTS)] == [
        "MX home.example", "A mail.home.example", "TXT home.example", "TXT pillarbox-rsa._domainkey.home.example",
        "TXT _dmarc.home.example", "TXT _smtp._tls.home.example", "SRV _submissions._tcp.home.example", "SRV _imaps._tcp.home.example",
        "SRV _imap._tcp.home.example",
    ]  # fmt: skip
    text = zone_text(records(FACTS))
    assert 'home.example.' in text and '"v=spf1 mx ip4:203.0.113.7 include:_spf.provider.example ~all"' in text
    assert "\n; mail programs set themselves up\n" in text and "0 1 993 mail.home.example." in text
    assert '" "' in text, "a long key is several strings"
    assert all(len(part) <= 255 for part in quoted(KEY).strip('"').split('" "'))


def test_only_what_runs() -> None:
    few = records(Facts("home.example", "mail.home.example", services=(("imaps", 993),)))
    assert [one.kind for one in few] == ["TXT", "TXT", "SRV"]
    assert few[0].value == "v=spf1 a:mail.home.example ~all"


async def test_all_right(server: NameServer) -> None:
    found = await findings(server)
    assert {one.state for one in found.values()} == {"right"}, found
    assert findings_text(list(found.values())).endswith("All is published, and right.")


async def test_all_missing(server: NameServer) -> None:
    server.records.clear()
    found = await findings(server)
    assert {one.state for one in found.values()} == {"missing"} and all(one.advice for one in found.values())
    assert findings_text(list(found.values())).endswith(f"{len(found)} to do.")


async def test_silence_is_unknown(server: NameServer) -> None:
    server.fails["home.example"] = 2
    found = await states(server)
    assert found["MX home.example"] == found["TXT home.example"] == "unknown" and found["A mail.home.example"] == "right"


@pytest.mark.parametrize(
    ("kind", "name", "values", "state", "says"),
    [
        ("MX", "home.example", ["10 mx.other.example."], "wrong", "go elsewhere"),
        ("MX", "home.example", ["0 ."], "wrong", "takes no mail"),
        ("MX", "home.example", ["10 mx.other.example.", "20 mail.home.example."], "right", ""),
        ("A", "mail.home.example", ["203.0.113.8"], "wrong", "seen as 203.0.113.7"),
        ("A", "mail.home.example", ["203.0.113.8", "203.0.113.7"], "right", ""),
        ("TXT", "home.example", ['"v=spf1 -all"'], "wrong", "add ip4:203.0.113.7"),
        ("TXT", "home.example", ['"v=spf1 ip4:203.0.113.0/28 -all"'], "wrong", "add include:_spf.provider.example"),
        ("TXT", "home.example", ['"v=spf1 a:mail.home.example/32 include:_spf.provider.example -all"'], "right", ""),
        ("TXT", "home.example", ['"v=spf1 redirect=_all.home.example include:_spf.provider.example"'], "wrong", "203.0.113.7"),
        ("TXT", "home.example", ['"v=spf1 mx include:_spf.provider.example +all"'], "wrong", "everybody"),
        ("TXT", "home.example", ['"v=spf1 mx ~all"', '"v=spf1 a ~all"'], "wrong", "several"),
        ("TXT", "home.example", ['"something else"'], "missing", "Publish"),
        ("TXT", "home.example", ['"v=spf1 ip4:nonsense exists:x ptr include:_spf.provider.example mx/24 ~all"'], "right", ""),
        ("TXT", "pillarbox-rsa._domainkey.home.example", ['"v=DKIM1; p="'], "wrong", "withdrawn"),
        ("TXT", "pillarbox-rsa._domainkey.home.example", ['"v=DKIM1; k=rsa; p=BBBB"'], "wrong", "Another key"),
        ("TXT", "pillarbox-rsa._domainkey.home.example", [quoted("k=rsa;p=" + "A" * 150 + " " + "A" * 150)], "right", ""),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; p=reject; sp=none"'], "right", ""),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; sp=none"'], "wrong", "no policy"),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "wrong", "several"),
        ("TXT", "_smtp._tls.home.example", ['"v=TLSRPTv1; rua=https://x.example/"'], "right", ""),
        ("TXT", "_smtp._tls.home.example", ['"v=TLSRPTv1;"'], "wrong", "no place"),
        ("SRV", "_imaps._tcp.home.example", ["0 1 993 imap.other.example."], "wrong", "should name"),
        ("SRV", "_imaps._tcp.home.example", ["0 0 0 ."], "wrong", "should name"),
        ("PTR", "7.113.0.203.in-addr.arpa", ["host-7.provider.example."], "wrong", "provider"),
    ],
)
async def test_every_row(server: NameServer, kind: str, name: str, values: list[str], state: str, says: str) -> None:
    server.records[name, kind] = values
    found = await findings(server)
    one = found["PTR 203.0.113.7" if kind == "PTR" else f"{kind} {name}"]
    assert one.state == state, one
    assert says in one.advice


async def test_an_mx_that_names_an_alias(server: NameServer) -> None:
    server.add("mail.home.example", "CNAME", "box.home.example.")
    server.add("box.home.example", "A", "203.0.113.7")
    assert (await states(server))["MX home.example"] == "wrong"


async def test_an_endless_spf_ends(server: NameServer) -> None:
    server.records["home.example", "TXT"] = ['"v=spf1 include:home.example ~all"']
    assert (await states(server))["TXT home.example"] == "wrong" and server.asked["home.example TXT"] < 5


def test_a_record_is_a_value() -> None:
    assert Record("a", "A", "192.0.2.1", "x") == Record("a", "A", "192.0.2.1", "x")
