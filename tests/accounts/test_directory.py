"""Where addresses lead, and who may write them."""

import pytest

from appliance.accounts.directory import Directory, Person, Resolution, Tables, _follow, read_tables, untagged
from appliance.mail.address import Address, parse_address
from appliance.mail.ids import PersonId
from tests.support.accounts import Family

ANNA, BEN = PersonId(1), PersonId(2)


@pytest.fixture
async def house(family: Family) -> Directory:
    accounts = family.accounts
    await accounts.add_person("Anna@Home.example", "one")
    await accounts.add_person("ben@home.example", "two")
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


def people(directory: Directory, address: str) -> tuple[PersonId, ...]:
    return directory.resolve(parse_address(address)).people


async def test_exact_in_any_case(house: Directory) -> None:
    assert people(house, "anna@home.example") == people(house, "ANNA@HOME.EXAMPLE") == (ANNA,)
    assert house.person(ANNA) == Person(ANNA, "Anna@home.example", None, house.people()[0].added_at)


async def test_groups_chains_and_outside(house: Directory) -> None:
    found = house.resolve(parse_address("all@second.example"))
    assert (found.people, found.outside, found.known) == ((ANNA, BEN), (Address("aunt", "elsewhere.example"),), True)
    assert people(house, "tagged@home.example") == (BEN,)


async def test_tags_and_exact_beats_tag(house: Directory) -> None:
    assert people(house, "ben+anything+more@home.example") == (BEN,)
    assert people(house, "ben+shop@home.example") == (ANNA,)
    assert people(house, "family+x@home.example") == (ANNA, BEN)
    assert not house.resolve(parse_address("+ben@home.example")).known
    assert untagged("+ben@home.example") == "+ben@home.example"


async def test_unknown_and_not_local(house: Directory) -> None:
    assert house.resolve(parse_address("nobody@home.example")) == Resolution()
    assert house.resolve(parse_address("anna@elsewhere.example")) == Resolution()
    assert house.is_local("home.example")
    assert not house.is_local("elsewhere.example")


async def test_catch_all_and_postmaster(family: Family, house: Directory) -> None:
    assert people(house, "Postmaster@home.example") == people(house, "abuse@second.example") == (ANNA,)
    assert house.postmaster().people == (ANNA,)
    await family.accounts.set_catch_all("second.example", "ben@home.example")
    assert people(house, "whoever@second.example") == (BEN,)
    assert people(house, "whoever+tag@second.example") == (BEN,)
    assert people(house, "all@second.example") == (ANNA, BEN)
    assert not house.resolve(parse_address("whoever@home.example")).known
    await family.accounts.add_alias("postmaster@home.example", "ben@home.example")
    assert house.postmaster().people == (BEN,)


async def test_may_send_as(house: Directory) -> None:
    assert house.may_send_as(ANNA, parse_address("anna+list@home.example"))
    assert house.may_send_as(BEN, parse_address("family@home.example"))
    assert not house.may_send_as(BEN, parse_address("anna@home.example"))
    assert not house.may_send_as(BEN, parse_address("ben@elsewhere.example"))


async def test_names_to_sign_in_with(family: Family, house: Directory) -> None:
    def number(name: str) -> PersonId | None:
        found = house.find_login(name)
        return found.id if found else None

    assert number("anna") == number("ANNA@home.EXAMPLE") == ANNA
    assert number("nobody") is number("anna@elsewhere.example") is number("anna@") is number("@") is number("") is None
    await family.accounts.add_person("anna@second.example", "x")
    assert number("anna") is None
    assert number("anna@second.example") == PersonId(3)


async def test_other_scripts_fold(family: Family) -> None:
    await family.accounts.add_person("Jürgen@bücher.example", "x")
    directory = family.accounts.directory
    assert directory.find_login("ju\u0308rgen@xn--bcher-kva.example") is not None
    assert directory.resolve(parse_address("JÜRGEN@XN--BCHER-KVA.example")).known


def test_a_loop_written_by_hand_ends() -> None:
    tables = Tables(domains={"h": ""}, aliases={"a@h": ("b@h", "c@h"), "b@h": ("a@h",)}, people={}, by_address={}, by_local={})
    assert _follow(tables, "a@h") == Resolution((), (), False)


async def test_survives_a_restart(family: Family, house: Directory) -> None:
    again = Directory(family.writer.read_now(read_tables))
    assert again.tables.resolved == house.tables.resolved
    assert again.domains() == house.domains() == ("home.example", "second.example")
