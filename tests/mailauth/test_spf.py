"""SPF evaluation against a real DNS server; the rules of RFC 7208 as rows."""

from collections.abc import AsyncIterator

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import LookupTrouble, MisuseError
from appliance.mailauth.spf import LOOKUPS, Spf, SpfResult, parse_spf, spf_texts
from tests.support.names import NameServer, a_name_server, resolver_of

US, US6 = "203.0.113.7", "2001:db8::7"
ZONE = (
    ("home.example", "A", US), ("home.example", "MX", "10 mail.home.example.", "20 other.example."),
    ("mail.home.example", "A", US), ("mail.home.example", "AAAA", US6), ("other.example", "A", "203.0.113.99"),
    ("pass.example", "TXT", '"v=spf1 ip4:203.0.113.7 -all"'), ("soft.example", "TXT", '"v=spf1 ~all"'),
    ("split.example", "TXT", '"v=spf1 ip4:203" ".0.113.7"'),
    ("twice.example", "TXT", '"v=spf1 ~all"', '"V=SPF1 -all"'), ("no-spf.example", "TXT", '"v=spf10 +all"'),
    ("broken.example", "TXT", '"v=spf1 ip4:nonsense ~all"'), ("nomx.example", "MX", "0 ."),
    ("many.example", "MX", *(f"{n} m{n}.example." for n in range(LOOKUPS + 1))),
    *((f"deep{n}.example", "TXT", f'"v=spf1 include:deep{n + 1}.example ~all"') for n in range(12)),
    ("deep12.example", "TXT", '"v=spf1 ip4:203.0.113.7 ~all"'),
    ("loop.example", "TXT", '"v=spf1 include:loop.example ~all"'),
)  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with a_name_server() as server:
        for name, kind, *values in ZONE:
            server.add(name, kind, *values)
        yield server


def spf(server: NameServer) -> Spf:
    return Spf(resolver_of(server))


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("", US, "NO"), ("all", US, "PASS"), ("-all", US, "NO"), ("~all", US, "NO"), ("?all", US, "NO"), ("ALL", US, "PASS"),
        ("ip4:203.0.113.7", US, "PASS"), ("ip4:203.0.113.0/28", US, "PASS"), ("ip4:203.0.113.16/28 -all", US, "NO"),
        ("ip6:2001:db8::/64", US6, "PASS"), ("ip6:2001:db8::/64", US, "NO"), ("ip4:203.0.113.7", US6, "NO"),
        ("-ip4:203.0.113.7 +all", US, "NO"),
        ("a", US, "PASS"), ("a", US6, "NO"), ("a:mail.home.example", US6, "PASS"), ("A:Mail.Home.Example.", US, "PASS"),
        ("a:other.example", US, "NO"), ("a:other.example/24", US, "PASS"), ("a:mail.home.example/32//64", "2001:db8::1", "PASS"),
        ("a/24", "203.0.113.200", "PASS"), ("a//64", "203.0.113.200", "NO"),
        ("mx", US, "PASS"), ("mx", US6, "PASS"), ("mx", "203.0.113.99", "PASS"), ("mx/24", "203.0.113.1", "PASS"),
        ("mx:nomx.example", US, "NO"), ("mx:nowhere.example", US, "NO"),
        ("include:pass.example", US, "PASS"), ("-include:pass.example +all", US, "NO"), ("include:soft.example +all", US, "PASS"),
        ("include:split.example", US, "PASS"),
        ("redirect=pass.example", US, "PASS"), ("redirect=pass.example -ip4:203.0.113.7", US, "NO"),
        ("-all redirect=pass.example", US, "NO"), ("redirect=pass.example ip4:203.0.113.8 ", US, "PASS"),
        ("exists:mail.home.example", US6, "PASS"), ("exists:nowhere.example ~all", US, "NO"),
        ("exists:%{i}._spf.example ~all", US, "UNSURE"), ("ptr ~all", US, "UNSURE"), ("ptr:home.example ip4:203.0.113.7", US, "PASS"),
        ("include:%{d}.example ~all", US, "UNSURE"), ("exp=why.example unknown=thing ip4:203.0.113.7", US, "PASS"),
    ],
)  # fmt: skip
async def test_results_of_check_host(server: NameServer, record: str, address: str, result: str) -> None:
    server.add("home.example", "TXT", f'"v=spf1 {record}"')
    assert await spf(server).check_host("home.example", address) is SpfResult[result]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("ip4:nonsense", "not an address"), ("ip4:2001:db8::", "not an SPF mechanism"), ("ip4:203.0.113.7/33", "not an address"),
        ("ip6:203.0.113.7", "mechanism"), ("a/33", "mechanism"), ("a//129", "mechanism"), ("mx:", "mechanism"), ("include:", "mechanism"),
        ("include", "mechanism"),
        ("exists", "mechanism"), ("ipv4:203.0.113.7", "mechanism"), ("all:x", "mechanism"), ("-", "mechanism"), ("redirect=", "redirect"),
        ("redirect=pass.example redirect=soft.example", "redirect"), ("exp=a exp=b", "exp"),
        ("ip4:203.0.113.7 mistake", "mechanism"),
        ("include:no-spf.example", "no SPF record"), ("redirect=nowhere.example", "no SPF record"), ("include:twice.example", "several"),
        ("include:broken.example", "not an address"), ("mx:many.example", "MX records"), ("include:deep1.example", "DNS lookups"),
        ("include:loop.example", "DNS lookups"), ("mx " * 11 + "~all", "DNS lookups"),
    ],
)  # fmt: skip
async def test_permerror(server: NameServer, record: str, fault: str) -> None:
    server.add("home.example", "TXT", f'"v=spf1 {record}"')
    with pytest.raises(MisuseError, match=fault):
        await spf(server).check_host("home.example", "198.18.0.1")
    assert server.asked.total() < 60


async def test_as_many_lookups_as_are_allowed(server: NameServer) -> None:
    evaluation = spf(server)
    server.add("home.example", "TXT", '"v=spf1 include:deep3.example ~all"')
    assert await evaluation.check_host("home.example", US) is SpfResult.PASS
    assert evaluation.seen == {"home.example", *(f"deep{n}.example" for n in range(3, 13))}


async def test_no_record_is_none_and_no_answer_is_lookup_trouble(server: NameServer) -> None:
    assert (
        await spf(server).check_host("no-spf.example", US) is SpfResult.NONE
        and await spf(server).check_host("none.example", US) is SpfResult.NONE
    )
    server.add("home.example", "TXT", '"v=spf1 include:sick.example ip4:203.0.113.7"')
    server.fails["sick.example"] = dns.rcode.SERVFAIL
    with pytest.raises(LookupTrouble):
        await spf(server).check_host("home.example", US)


@given(st.text(max_size=200) | st.from_regex(r"[+~?-]?(a|mx|ip4|ip6|include|all|ptr)([:=/][0-9a-f.:/%{}]{0,20})?", fullmatch=True))
def test_any_text_is_parsed_or_a_permerror(text: str) -> None:
    octets = f"v=spf1 {text}".encode()
    for one in spf_texts([octets, text.encode()]):
        try:
            terms, _ = parse_spf(one)
        except MisuseError:
            continue
        assert len(terms) <= len(one)
