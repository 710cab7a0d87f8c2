"""dns_setup/check: every kind of record right, wrong and missing, on a real DNS server."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from appliance.dns_setup.check import DnsFinding, check, findings_text
from appliance.dns_setup.records import DomainFacts, quoted, records
from tests.support.names import NameServer, a_name_server, resolver_of

KEY = "v=DKIM1; k=rsa; p=" + "A" * 300
DKIM = "pillarbox-rsa._domainkey.home.example"
PTR = "7.113.0.203.in-addr.arpa"
FACTS = DomainFacts(
    "home.example", "mail.home.example", ("203.0.113.7",), (("smtp", 25), ("submissions", 465), ("imaps", 993), ("imap", 143)),
    (("pillarbox-rsa", KEY),), ("include:_spf.provider.example",), "postmaster@home.example",
)  # fmt: skip
RELAY = "include:_spf.provider.example"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """Everything published as it should be."""
    async with a_name_server() as server:
        for record in records(FACTS):
            server.add(record.name, record.kind, quoted(record.value) if record.kind == "TXT" else record.value)
        server.add("_spf.provider.example", "TXT", '"v=spf1 ip4:198.51.100.0/24 -all"')
        server.add("wrapped.example", "TXT", f'"v=spf1 {RELAY} -all"')
        server.add("everybody.example", "TXT", '"v=spf1 all"')
        server.add("smtp.relay.example", "A", "198.51.100.9")
        server.add("box.home.example", "A", "203.0.113.7")
        server.add("alias.home.example", "CNAME", "box.home.example.")
        yield server


async def findings(server: NameServer, facts: DomainFacts = FACTS, **times: float) -> dict[str, DnsFinding]:
    return {f"{one.record.kind} {one.record.name}": one for one in await check(facts, resolver_of(server), **times)}


async def test_all_right(server: NameServer) -> None:
    found = await findings(server)
    assert {one.state for one in found.values()} == {"right"}, found
    assert [one.record for one in found.values()] == records(FACTS), "in their order"
    text = findings_text(list(found.values()))
    assert text.splitlines()[0] == "right    MX    home.example   10 mail.home.example"
    assert len(text.splitlines()) == len(found) + 1 and text.endswith("\nAll records are published and right.")
    assert text.count("the key of this server") == 1 and "AAAA" not in text


async def test_all_missing(server: NameServer) -> None:
    server.records.clear()
    found = await findings(server)
    assert {one.state for one in found.values()} == {"missing"} and all(one.advice for one in found.values())
    text = findings_text(list(found.values()))
    assert text.endswith("\n5 to do, 5 good to have.")
    assert "\nmissing  A     mail.home.example\n         Publish: mail.home.example. A 203.0.113.7\n" in text
    assert f"missing  PTR   {PTR}\n         Ask your provider to set the reverse name of 203.0.113.7 to mail.home.example" in text


async def test_silence_is_unknown(server: NameServer) -> None:
    server.fails["home.example"] = 2
    server.silent |= {"_imaps._tcp.home.example", PTR}
    found = await findings(server)
    for name in ("MX home.example", "TXT home.example", "SRV _imaps._tcp.home.example", f"PTR {PTR}"):
        assert found[name].state == "unknown" and "try again later" in found[name].advice
    assert found["A mail.home.example"].state == "right"
    assert findings_text(list(found.values())).endswith("\n4 unknown.")


async def test_nothing_takes_for_ever(server: NameServer) -> None:
    server.silent.add("_dmarc.home.example")
    assert (await findings(server, patience_s=0.2))["TXT _dmarc.home.example"].advice.startswith("The DNS server took too long to answer;")


@pytest.mark.parametrize(
    ("kind", "name", "values", "state", "says"),
    [
        ("MX", "home.example", ["10 mx.other.example."], "wrong", "goes to other servers"),
        ("MX", "home.example", ["0 ."], "wrong", "takes no mail"),
        ("MX", "home.example", ["10 mx.other.example.", "20 mail.home.example."], "right", "other servers take your messages too"),
        ("MX", "home.example", ["10 box.home.example."], "right", "it is this server"),
        ("MX", "home.example", ["10 alias.home.example."], "wrong", "goes to other servers"),
        ("A", "mail.home.example", ["203.0.113.8"], "wrong", "this server's is 203.0.113.7"),
        ("A", "mail.home.example", ["203.0.113.8", "203.0.113.7"], "right", "203.0.113.7"),
        ("TXT", "home.example", ['"v=spf1 -all"'], "wrong", "add ip4:203.0.113.7"),
        ("TXT", "home.example", ['"v=spf1 ip4:203.0.113.0/28 -all"'], "wrong", f"add {RELAY}"),
        ("TXT", "home.example", ['"v=spf1 ip4:203.0.113.0/28 include:wrapped.example -all"'], "right", ""),
        ("TXT", "home.example", [f'"v=spf1 a:mail.home.example/32 {RELAY} -all"'], "right", ""),
        ("TXT", "home.example", [f'"v=spf1 a:mail.home.example {RELAY} ?all"'], "right", ""),
        ("TXT", "home.example", ['"v=spf1 redirect=_all.home.example"'], "wrong", "_all.home.example, which it names, has no SPF"),
        ("TXT", "home.example", [f'"v=spf1 mx {RELAY} +all"'], "wrong", "everybody"),
        ("TXT", "home.example", [f'"v=spf1 mx {RELAY} ip4:0.0.0.0/0 -all"'], "wrong", "everybody"),
        ("TXT", "home.example", [f'"v=spf1 mx {RELAY} ip6:::/0 -all"'], "wrong", "everybody"),
        ("TXT", "home.example", ['"v=spf1 mx redirect=everybody.example"'], "wrong", "everybody"),
        ("TXT", "home.example", ['"v=spf1 mx ~all"', '"v=spf1 a ~all"'], "wrong", "several"),
        ("TXT", "home.example", ['"something else"'], "missing", "Publish"),
        ("TXT", "home.example", ['"something else"', f'"v=spf1 mx {RELAY} ~all"'], "right", ""),
        ("TXT", "home.example", [f'"v=spf1 ip4:nonsense {RELAY} mx ~all"'], "wrong", "ip4:nonsense is not an address"),
        ("TXT", "home.example", [f'"v=spf1 mx {"a " * 10} {RELAY} ~all"'], "wrong", "more than 10 DNS lookups"),
        ("TXT", "home.example", [f'"v=spf1 exists:%{{i}}.x.example {RELAY} ~all"'], "unknown", "macros"),
        ("TXT", "home.example", [f'"v=spf1 exists:%{{i}}.x.example mx {RELAY} ~all"'], "right", ""),
        ("TXT", DKIM, ['"v=DKIM1; p="'], "wrong", "withdrawn"),
        ("TXT", DKIM, ['"v=DKIM1; k=rsa; p=BBBB"'], "wrong", "Another key"),
        ("TXT", DKIM, [quoted(KEY.replace("rsa", "ed25519"))], "wrong", "Another key"),
        ("TXT", DKIM, [quoted(KEY.replace("DKIM1", "DKIM2"))], "wrong", "no key"),
        ("TXT", DKIM, ['"hello"'], "wrong", "no key"),
        ("TXT", DKIM, [quoted(KEY), '"v=DKIM1; p=BBBB"'], "wrong", "which counts"),
        ("TXT", DKIM, [quoted("k=rsa;p=" + "A" * 150 + " " + "A" * 150)], "right", "the key of this server"),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; p=reject; sp=none"'], "right", ""),
        ("TXT", "_dmarc.home.example", ['"v = DMARC1;p=NONE"'], "right", ""),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; sp=none"'], "wrong", "no policy"),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; p=maybe"'], "wrong", "no policy"),
        ("TXT", "_dmarc.home.example", ['"v=dmarc1; p=none"'], "wrong", "begin with exactly"),
        ("TXT", "_dmarc.home.example", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "wrong", "several"),
        ("TXT", "_dmarc.home.example", ['"v=spf1 -all"'], "missing", "Publish"),
        ("TXT", "_smtp._tls.home.example", ['"v=TLSRPTv1; rua=https://x.example/"'], "right", ""),
        ("TXT", "_smtp._tls.home.example", ['"v=TLSRPTv1;"'], "wrong", "no address"),
        ("TXT", "_smtp._tls.home.example", ['"v=tlsrptv1; rua=mailto:a@b.example"'], "wrong", "begin with exactly"),
        ("TXT", "_smtp._tls.home.example", ['"v=TLSRPTv1; rua=mailto:a@b.example"'] * 1 + ['"v=TLSRPTv1; rua=mailto:c@d.example"'],
         "wrong", "several"),
        ("SRV", "_imaps._tcp.home.example", ["0 1 993 imap.other.example."], "wrong", "names another server"),
        ("SRV", "_imaps._tcp.home.example", ["0 1 9930 mail.home.example."], "wrong", "port 993"),
        ("SRV", "_imaps._tcp.home.example", ["0 0 0 ."], "wrong", "no such service"),
        ("SRV", "_imaps._tcp.home.example", ["5 1 993 mail.home.example.", "9 1 993 imap.other.example."], "right", ""),
        ("PTR", PTR, ["host-7.provider.example."], "wrong", "provider"),
        ("PTR", PTR, ["host-7.provider.example.", "mail.home.example."], "right", ""),
    ],
)  # fmt: skip
async def test_every_row(server: NameServer, kind: str, name: str, values: list[str], state: str, says: str) -> None:
    server.records[name, kind] = values
    one = (await findings(server))[f"{kind} {name}"]
    assert one.state == state, one
    assert says in (one.found if state == "right" else one.advice)
    assert bool(one.advice) is (state != "right")


async def test_an_mx_that_names_an_alias(server: NameServer) -> None:
    server.add("mail.home.example", "CNAME", "box.home.example.")
    one = (await findings(server))["MX home.example"]
    assert one.state == "wrong" and "alias" in one.advice


async def test_a_reverse_name_that_does_not_lead_back(server: NameServer) -> None:
    server.records["mail.home.example", "A"] = ["203.0.113.8"]
    one = (await findings(server))[f"PTR {PTR}"]
    assert one.state == "wrong" and "does not resolve back" in one.advice


@pytest.mark.parametrize(
    ("relay", "record", "state"),
    [
        ("smtp.relay.example", "mx a:smtp.relay.example", "right"),
        ("smtp.relay.example", "mx ip4:198.51.100.0/24", "right"),
        ("a:smtp.relay.example", "mx include:_spf.provider.example", "right"),
        ("smtp.relay.example", "mx", "wrong"),
        ("gone.relay.example", "mx", "right"),
        ("ip4:198.51.100.0/25", "mx include:_spf.provider.example", "right"),
        ("ip4:198.51.0.0/16", "mx include:_spf.provider.example", "wrong"),
        ("ip4:nonsense", "mx", "wrong"),
        ("exists:%{i}.x.example", "mx exists:%{i}.x.example", "right"),
        ("exists:%{i}.x.example", "mx", "wrong"),
    ],
)
async def test_each_kind_of_relay(server: NameServer, relay: str, record: str, state: str) -> None:
    server.records["home.example", "TXT"] = [f'"v=spf1 {record} ~all"']
    one = (await findings(server, replace(FACTS, relays=(relay,))))["TXT home.example"]
    assert one.state == state, one


async def test_a_server_that_does_not_know_its_address(server: NameServer) -> None:
    facts = replace(FACTS, addresses=(), relays=())
    one = (await findings(server, facts))["A mail.home.example"]
    assert one.state == "wrong" and "cannot reach" in one.advice, "an address for documents"
    server.records["mail.home.example", "A"] = ["9.9.9.9"]
    found = await findings(server, facts)
    assert {one.state for one in found.values()} == {"right"} and not any(one.record.kind == "PTR" for one in found.values())
    server.records["home.example", "TXT"] = ['"v=spf1 ip4:203.0.113.7 ~all"']
    advice = (await findings(server, facts))["TXT home.example"].advice
    assert "does not allow 9.9.9.9, which is this server: add a:mail.home.example." in advice
    del server.records["mail.home.example", "A"]
    one = (await findings(server, facts))["A mail.home.example"]
    assert one.state == "missing" and "your router shows it" in one.advice


async def test_behind_a_router_with_ipv6(server: NameServer) -> None:
    facts = replace(FACTS, addresses=("2001:db8::7",), relays=())
    server.add("mail.home.example", "AAAA", "2001:db8::7")
    server.records["mail.home.example", "A"] = ["9.9.9.9"]
    server.records["home.example", "TXT"] = ['"v=spf1 ip6:2001:db8::7 ~all"']
    found = await findings(server, facts)
    assert found["A mail.home.example"].state == found["AAAA mail.home.example"].state == "right"
    assert "does not allow 9.9.9.9" in found["TXT home.example"].advice


async def test_a_policy_from_above(server: NameServer) -> None:
    server.add("_dmarc.org.example", "TXT", '"v=DMARC1; p=reject"')
    found = await findings(server, replace(FACTS, domain="family.home.org.example"))
    one = found["TXT _dmarc.family.home.org.example"]
    assert one.state == "right" and one.found == "that of org.example: v=DMARC1; p=reject"
    server.add("_dmarc.home.org.example", "TXT", '"v=DMARC1; sp=none"')
    assert (await findings(server, replace(FACTS, domain="home.org.example")))["TXT _dmarc.home.org.example"].state == "wrong"


async def test_an_endless_spf_ends(server: NameServer) -> None:
    server.records["home.example", "TXT"] = ['"v=spf1 include:home.example ~all"']
    one = (await findings(server))["TXT home.example"]
    assert one.state == "wrong" and "DNS lookups" in one.advice and server.asked["home.example TXT"] < 5


async def test_strangers_texts_do_nothing_to_a_terminal(server: NameServer) -> None:
    server.records["home.example", "TXT"] = [r'"v=spf1 \027[2J\007 mx ~all"']
    server.records["_dmarc.home.example", "TXT"] = [r'"v=DMARC1; p=\027]0;x\007"']
    server.records["home.example", "MX"] = [r"10 \027[2J.example."]
    text = findings_text(list((await findings(server)).values()))
    assert text.replace("\n", "").isprintable()
