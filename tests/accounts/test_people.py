"""Changes to people, passwords, domains and aliases: whole or not at all, refused with a sentence."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from appliance.accounts.people import APP_PASSWORDS
from appliance.database.writer import Transaction
from appliance.mail.address import parse_address
from appliance.mail.errors import SetupError
from appliance.mail.ids import PersonId
from tests.support.people import Family


async def refused(change: Awaitable[object], words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        await change
    assert caught.value.remedy.endswith((".", "list", "remove", "password")) or "pillarbox" in caught.value.remedy


async def test_first_person_brings_the_first_domain(family: Family) -> None:
    person = await family.accounts.add_person("anna@home.example", "secret", quota_octets=10**9)
    assert (person.id, person.quota_octets) == (1, 10**9)
    assert family.accounts.directory.domains() == ("home.example",)
    assert family.accounts.directory.quota_of(PersonId(1)) == 10**9
    await refused(family.accounts.add_person("ben@other.example", "x"), "not a domain of this house")


async def test_people_are_refused(family: Family) -> None:
    add = family.accounts.add_person
    await add("anna@home.example", "x")
    await refused(add("ANNA@home.example", "x"), "already lives here")
    await refused(add("no address", "x"), "not a mail address")
    await refused(add("x@[192.0.2.1]", "x"), "not a domain of this house")
    await refused(add("ben@home.example", ""), "empty")
    await refused(add("ben@home.example", "a\nb"), "control character")
    await refused(add("ben@home.example", "x" * 1025), "longer")
    await refused(add("ben@home.example", "x", quota_octets=0), "quota")
    assert len(family.accounts.directory.people()) == 1


async def test_a_first_person_at_an_address_literal_is_refused(family: Family) -> None:
    await refused(family.accounts.add_person("x@[192.0.2.1]", "x"), "brackets")


async def test_also_joins_the_commit(family: Family) -> None:
    seen: list[PersonId] = []

    def mailboxes(transaction: Transaction, person: PersonId) -> None:
        seen.append(person)
        raise RuntimeError("no mailboxes")

    with pytest.raises(RuntimeError, match="no mailboxes"):
        await family.accounts.add_person("anna@home.example", "x", also=mailboxes)
    assert seen
    assert family.accounts.directory.people() == ()
    assert family.accounts.directory.domains() == ()
    assert await family.writer.read(lambda reads: list(reads.execute("SELECT * FROM password"))) == []


async def test_removing_a_person_takes_everything_along(family: Family) -> None:
    accounts = family.accounts
    for name in ("anna", "ben"):
        await accounts.add_person(f"{name}@home.example", "x")
    await accounts.add_alias("us@home.example", "ben@home.example")
    await accounts.set_catch_all("home.example", "ben@home.example")
    await accounts.add_app_password("ben", "phone")
    gone: list[PersonId] = []
    await accounts.remove_person("Ben@home.example", also=lambda _, person: gone.append(person))
    assert gone == [2]
    assert not accounts.directory.resolve(parse_address("us@home.example")).known
    assert accounts.directory.catch_all("home.example") == ""
    assert PersonId(2) not in accounts.secrets.rows
    await refused(accounts.remove_person("ben@home.example"), "Nobody here")
    assert (await accounts.add_person("ben@home.example", "x")).id == 3


async def test_domains(family: Family) -> None:
    accounts = family.accounts
    assert await accounts.add_domain("Home.Example.") == "home.example"
    assert await accounts.ensure_domain("home.example") == "home.example"
    await refused(accounts.add_domain("home.example"), "already")
    await refused(accounts.add_domain("not a domain"), "not a domain name")
    await accounts.add_person("anna@home.example", "x")
    await refused(accounts.remove_domain("home.example"), "still lives at home.example: anna@home.example")
    await accounts.add_domain("second.example")
    await accounts.add_alias("a@second.example", "anna@home.example")
    await refused(accounts.remove_domain("second.example"), "still stand")
    await accounts.remove_alias("a@second.example")
    await accounts.remove_domain("second.example")
    await refused(accounts.remove_domain("second.example"), "not a domain of this house")


async def test_aliases(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_person("anna@home.example", "x")
    await accounts.add_alias("a@home.example", "anna@home.example")
    await refused(accounts.add_alias("A@home.example", "ANNA@home.example"), "already")
    await refused(accounts.add_alias("anna@home.example", "x@elsewhere.example"), "person's address")
    await refused(accounts.add_alias("x@elsewhere.example", "anna@home.example"), "not a domain")
    await refused(accounts.add_alias("b@home.example", "nobody@home.example"), "Nobody here")
    await refused(accounts.add_alias("b@home.example", "b@home.example"), "circles")
    await accounts.add_alias("b@home.example", "a@home.example")
    await refused(accounts.add_alias("a@home.example", "b@home.example"), "circles")
    await refused(accounts.add_person("a@home.example", "x"), "alias already")
    await refused(accounts.remove_alias("c@home.example"), "no alias")
    await refused(accounts.remove_alias("b@home.example", "x@elsewhere.example"), "does not lead")
    await accounts.set_catch_all("home.example", "b@home.example")
    await accounts.remove_alias("B@home.example")
    assert accounts.directory.catch_all("home.example") == ""
    await refused(accounts.set_catch_all("home.example", "nobody@home.example"), "neither")


async def test_app_passwords(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_person("anna@home.example", "x")
    password = await accounts.add_app_password("anna@home.example", " Anna's phone ")
    assert [row.label for row in accounts.app_passwords("anna")] == ["Anna's phone"]
    (row,) = accounts.app_passwords("anna")
    assert row.verifiers.slow is None
    assert row.verifiers.scram is not None
    assert password not in repr(accounts.secrets) + repr(row)
    await refused(accounts.add_app_password("anna", "anna's PHONE"), "called")
    await refused(accounts.add_app_password("anna", " "), "needs a name")
    await refused(accounts.remove_app_password("anna", "tablet"), "no app password")
    await accounts.remove_app_password("anna", "Anna's phone")
    assert accounts.app_passwords("anna") == ()
    for number in range(APP_PASSWORDS):
        await accounts.add_app_password("anna", f"device {number}")
    await refused(accounts.add_app_password("anna", "one more"), "no more are kept")


async def test_a_new_password_has_a_new_row(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_person("anna@home.example", "x")
    (before,) = accounts.secrets.rows[PersonId(1)]
    await accounts.set_password("anna@home.example", "y")
    (after,) = accounts.secrets.rows[PersonId(1)]
    assert after.id > before.id
    await refused(accounts.set_password("ben@home.example", "y"), "Nobody here")


async def test_memory_follows_the_card_also_when_the_asker_is_cancelled(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancel comes when the commit is done and its waiter not yet awake."""
    await family.accounts.add_person("anna@home.example", "x")
    with trio.CancelScope() as gone:

        async def write(work: Callable[[Transaction], object]) -> object:
            result = family.writer.write_now(work)
            gone.cancel()
            await trio.lowlevel.checkpoint()
            return result

        monkeypatch.setattr(family.writer, "write", write)
        await family.accounts.add_alias("a@home.example", "anna@home.example")
    assert family.writer.read_now(lambda reads: reads.execute("SELECT count(*) FROM alias").fetchone()[0]) == 1
    assert family.accounts.directory.resolve(parse_address("a@home.example")).known


async def test_use_is_noted_daily_and_only_by_a_trusted_clock(family: Family) -> None:
    accounts, clock = family.accounts, family.clock
    await accounts.add_person("anna@home.example", "x")
    (row,) = accounts.secrets.rows[PersonId(1)]

    async def noted() -> int | None:
        accounts.mark_used(row)
        found: int | None = await family.writer.read(lambda reads: reads.execute("SELECT used_at FROM password").fetchone()[0])
        return found

    clock.is_trusted = False
    assert await noted() is None
    clock.is_trusted = True
    first = await noted()
    assert first is not None
    clock.wall_from_s += 3600
    assert await noted() == first
    clock.wall_from_s += 24 * 3600
    assert await noted() == first + 25 * 3600
