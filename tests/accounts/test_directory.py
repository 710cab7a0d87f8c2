"""Where addresses lead, and which accounts may send as them."""

import pytest

from appliance.accounts.directory import Account, Directory, DirectoryTables, Resolution, _follow, read_tables, untagged
from appliance.mail.address import Address, parse_address
from appliance.mail.ids import AccountId
from tests.support.accounts import Family

ANNA, BEN = AccountId(1), AccountId(2)


@pytest.fixture
async def server(family: Family) -> Directory:
    accounts = family.accounts
    await accounts.add_account("Anna@Home.example", "one")
    await accounts.add_account("ben@home.example", "two")
    await accounts.add_domain("second.example")
    for alias, target in (
        ("family@home.example", "anna@home.example"),
        ("family@home.example", "ben@home.example"),
        ("family@home.example", "aunt@elsewhere.example"),
        ("all@second.example", "family@home.example"),
        ("ben+shop@home.example", "anna@home.example"),
        ("tagged@home.example", "ben+x@home.example"),
    ):
        await accounts.add_alias(alias, target)
    return accounts.directory


def accounts(directory: Directory, address: str) -> tuple[AccountId, ...]:
    return directory.resolve(parse_address(address)).accounts


async def test_exact_in_any_case(server: Directory) -> None:
    assert accounts(server, "anna@home.example") == accounts(server, "ANNA@HOME.EXAMPLE") == (ANNA,)
    assert server.account(ANNA) == Account(ANNA, "Anna@home.example", None, server.accounts()[0].added_at, is_admin=True)


async def test_groups_chains_and_outside(server: Directory) -> None:
    found = server.resolve(parse_address("all@second.example"))
    assert (found.accounts, found.outside, found.known) == ((ANNA, BEN), (Address("aunt", "elsewhere.example"),), True)
    assert accounts(server, "tagged@home.example") == (BEN,)


async def test_tags_and_exact_beats_tag(server: Directory) -> None:
    assert accounts(server, "ben+anything+more@home.example") == (BEN,)
    assert accounts(server, "ben+shop@home.example") == (ANNA,)
    assert accounts(server, "family+x@home.example") == (ANNA, BEN)
    assert not server.resolve(parse_address("+ben@home.example")).known
    assert untagged("+ben@home.example") == "+ben@home.example"


async def test_unknown_and_not_local(server: Directory) -> None:
    assert server.resolve(parse_address("nobody@home.example")) == Resolution()
    assert server.resolve(parse_address("anna@elsewhere.example")) == Resolution()
    assert server.is_local("home.example")
    assert not server.is_local("elsewhere.example")


async def test_catch_all_and_postmaster(family: Family, server: Directory) -> None:
    assert accounts(server, "Postmaster@home.example") == accounts(server, "abuse@second.example") == (ANNA,)
    assert server.postmaster().accounts == (ANNA,)
    await family.accounts.set_catch_all("second.example", "ben@home.example")
    assert accounts(server, "whoever@second.example") == (BEN,)
    assert accounts(server, "whoever+tag@second.example") == (BEN,)
    assert accounts(server, "all@second.example") == (ANNA, BEN)
    assert not server.resolve(parse_address("whoever@home.example")).known
    await family.accounts.add_alias("postmaster@home.example", "ben@home.example")
    assert server.postmaster().accounts == (BEN,)


async def test_may_send_as(server: Directory) -> None:
    assert server.may_send_as(ANNA, parse_address("anna+list@home.example"))
    assert server.may_send_as(BEN, parse_address("family@home.example"))
    assert not server.may_send_as(BEN, parse_address("anna@home.example"))
    assert not server.may_send_as(BEN, parse_address("ben@elsewhere.example"))


async def test_names_to_sign_in_with(family: Family, server: Directory) -> None:
    def number(name: str) -> AccountId | None:
        found = server.find_login(name)
        return found.id if found else None

    assert number("anna") == number("ANNA@home.EXAMPLE") == ANNA
    assert number("nobody") is number("anna@elsewhere.example") is number("anna@") is number("@") is number("") is None
    await family.accounts.add_account("anna@second.example", "x")
    assert number("anna") is None
    assert number("anna@second.example") == AccountId(3)


async def test_other_scripts_fold(family: Family) -> None:
    await family.accounts.add_account("Jürgen@bücher.example", "x")
    directory = family.accounts.directory
    assert directory.find_login("ju\u0308rgen@xn--bcher-kva.example") is not None
    assert directory.resolve(parse_address("JÜRGEN@XN--BCHER-KVA.example")).known


def test_a_loop_written_by_hand_ends() -> None:
    tables = DirectoryTables(domains={"h": ""}, aliases={"a@h": ("b@h", "c@h"), "b@h": ("a@h",)}, accounts={}, by_address={}, by_local={})
    assert _follow(tables, "a@h") == Resolution((), (), False)


async def test_survives_a_restart(family: Family, server: Directory) -> None:
    again = Directory(family.writer.read_now(read_tables))
    assert again.tables.resolved == server.tables.resolved
    assert again.domains() == server.domains() == ("home.example", "second.example")
