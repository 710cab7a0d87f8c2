"""The resolver against a real name server on the loopback."""

from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest

from appliance.mail.errors import LookupTrouble
from appliance.network.resolver import Found, Mx, Resolver, Tlsa, servers_of
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server, resolver_of


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with a_name_server() as server:
        yield server


async def test_each_kind_is_read(server: NameServer) -> None:
    server.add("far.example", "MX", "10 MX.far.example.", "5 a.far.example.")
    server.add("far.example", "TXT", '"v=spf1" " -all"')
    server.add("mx.far.example", "A", "192.0.2.1")
    server.add("mx.far.example", "AAAA", "2001:db8::1")
    server.add("_25._tcp.mx.far.example", "TLSA", "3 1 1 " + "ab" * 32)
    server.add("1.2.0.192.in-addr.arpa", "PTR", "mx.far.example.")
    ask = resolver_of(server)
    assert set((await ask.mx("Far.Example")).values) == {Mx(10, "mx.far.example"), Mx(5, "a.far.example")}
    assert (await ask.txt("far.example")).values == (b"v=spf1 -all",)
    assert (await ask.a("mx.far.example")).values == ("192.0.2.1",) and (await ask.aaaa("mx.far.example")).values == ("2001:db8::1",)
    assert (await ask.tlsa("_25._tcp.mx.far.example")).values == (Tlsa(3, 1, 1, b"\xab" * 32),)
    assert (await ask.ptr("192.0.2.1")).values == ("mx.far.example",)


async def test_no_name_no_data_and_silence_are_three_things(server: NameServer) -> None:
    server.add("far.example", "A", "192.0.2.1")
    server.fails["sick.example"] = dns.rcode.SERVFAIL
    server.silent.add("mute.example")
    ask = resolver_of(server)
    assert (await ask.mx("far.example")).found is Found.NO_DATA
    assert (await ask.mx("none.example")).found is Found.NO_NAME
    for name in ("sick.example", "mute.example", "a..b", "x" * 70 + ".example"):
        with pytest.raises(LookupTrouble):
            await ask.mx(name)


async def test_cached_for_its_ttl_negative_answers_too(server: NameServer) -> None:
    clock = HandClock()
    server.add("far.example", "A", "192.0.2.1")
    ask = resolver_of(server, clock)
    for _ in range(3):
        await ask.a("far.example")
        await ask.a("none.example")
    assert server.asked["far.example A"] == server.asked["none.example A"] == 1
    clock.forward(61)
    await ask.a("far.example")
    await ask.a("none.example")
    assert server.asked["far.example A"] == server.asked["none.example A"] == 2
    clock.step(10**8)
    await ask.a("far.example")
    assert server.asked["far.example A"] == 2, "a step of the wall clock ages nothing"


async def test_the_cache_is_bounded(server: NameServer) -> None:
    ask = resolver_of(server, cached=5)
    for number in range(20):
        await ask.a(f"n{number}.example")
    assert len(ask._cache) == 5


async def test_truncated_is_queried_again_over_tcp_and_cname_is_followed(server: NameServer) -> None:
    server.add("long.example", "A", *[f"192.0.2.{n}" for n in range(1, 200)])
    server.truncated.add("long.example")
    server.add("other.example", "CNAME", "real.example.")
    server.add("real.example", "A", "192.0.2.9")
    ask = resolver_of(server)
    assert len((await ask.a("long.example")).values) == 199
    assert (await ask.a("other.example")).values == ("192.0.2.9",)


async def test_the_next_server_answers_for_a_dead_one(server: NameServer) -> None:
    server.add("far.example", "A", "192.0.2.1")
    ask = Resolver([("127.0.0.1", 1), ("127.0.0.1", server.port)], HandClock())
    assert (await ask.a("far.example")).values == ("192.0.2.1",)


async def test_the_ad_bit_counts_only_from_trusted_servers_and_with_a_trusted_clock(server: NameServer) -> None:
    server.validated = True
    server.add("far.example", "A", "192.0.2.1")
    assert (await resolver_of(server).a("far.example")).secure
    assert not (await resolver_of(server, HandClock(trusted=False)).a("far.example")).secure
    assert not Resolver([("192.0.2.53", 53)], HandClock())._trusted
    assert Resolver([("192.0.2.53", 53)], HandClock(), trusted=True)._trusted
    server.validated = False
    assert not (await resolver_of(server, trusted=True).a("far.example")).secure


def test_servers_of_this_host(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# x\nsearch home\nnameserver 192.0.2.1\nnameserver\nnameserver 2001:db8::1 \n")
    assert servers_of(conf) == (("192.0.2.1", 53), ("2001:db8::1", 53))
    assert servers_of(tmp_path / "none") == (("127.0.0.1", 53),)


async def test_names_are_queried_by_idna_2008(server: NameServer) -> None:
    server.add("xn--strae-oqa.example", "A", "192.0.2.1")
    server.add("strasse.example", "A", "192.0.2.66")
    ask = resolver_of(server)
    assert (await ask.a("Straße.example")).values == (await ask.a("straße.example.")).values == ("192.0.2.1",)
    assert server.asked["strasse.example A"] == 0
    for name in ("\u2615.example", "a\u200bb.example", "x" * 70 + "ü.example"):
        with pytest.raises(LookupTrouble):
            await ask.a(name)


async def test_a_server_without_edns_is_queried_again_without_it_and_its_answer_is_not_secure(server: NameServer) -> None:
    server.edns, server.validated = False, True
    server.add("far.example", "A", "192.0.2.1")
    server.add("long.example", "TXT", *(f'"{number:0200}"' for number in range(20)))
    server.truncated.add("long.example")
    ask = resolver_of(server, trusted=True)
    answer = await ask.a("far.example")
    assert answer.values == ("192.0.2.1",) and not answer.secure and server.asked["far.example A"] == 2
    assert (await ask.a("none.example")).found is Found.NO_NAME
    assert len((await ask.txt("long.example")).values) == 20, "truncated, and over TCP without EDNS as well"


async def test_formerr_without_edns_is_no_answer(server: NameServer) -> None:
    server.fails["odd.example"] = dns.rcode.FORMERR
    with pytest.raises(LookupTrouble, match="FORMERR"):
        await resolver_of(server).a("odd.example")
    assert server.asked["odd.example A"] == 4, "with and without EDNS, in two rounds"
