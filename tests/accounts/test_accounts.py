"""Changes to accounts, passwords, domains and aliases: whole or not at all, refused with a sentence."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from appliance.accounts.accounts import APP_PASSWORDS
from appliance.app.outbound import _comes_to
from appliance.database.writer import Transaction
from appliance.mail.address import parse_address
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId
from tests.support.accounts import Family

PASSWORD = "Correct-Horse-7"


async def refused(change: Awaitable[object], words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        await change
    assert caught.value.remedy.endswith((".", "list", "remove", "password")) or "pillarbox" in caught.value.remedy


async def test_first_account_brings_the_first_domain(family: Family) -> None:
    account = await family.accounts.add_account("anna@home.example", "secret", quota_octets=10**9)
    assert (account.id, account.quota_octets) == (1, 10**9)
    assert family.accounts.directory.domains() == ("home.example",)
    assert family.accounts.directory.quota_of(AccountId(1)) == 10**9
    await refused(family.accounts.add_account("ben@other.example", "x"), "not a domain of this server")


async def test_accounts_are_refused(family: Family) -> None:
    add = family.accounts.add_account
    await add("anna@home.example", "x")
    await refused(add("ANNA@home.example", "x"), "There is an account")
    await refused(add("no address", "x"), "not a mail address")
    await refused(add("x@[192.0.2.1]", "x"), "not a domain of this server")
    await refused(add("ben@home.example", ""), "empty")
    await refused(add("ben@home.example", "a\nb"), "control character")
    await refused(add("ben@home.example", "x" * 1025), "longer")
    await refused(add("ben@home.example", "x", quota_octets=0), "quota")
    assert len(family.accounts.directory.accounts()) == 1


async def test_a_first_account_at_an_address_literal_is_refused(family: Family) -> None:
    await refused(family.accounts.add_account("x@[192.0.2.1]", "x"), "IP address")


async def test_also_joins_the_commit(family: Family) -> None:
    seen: list[AccountId] = []

    def mailboxes(transaction: Transaction, account: AccountId) -> None:
        seen.append(account)
        raise RuntimeError("no mailboxes")

    with pytest.raises(RuntimeError, match="no mailboxes"):
        await family.accounts.add_account("anna@home.example", "x", also=mailboxes)
    assert seen
    assert family.accounts.directory.accounts() == ()
    assert family.accounts.directory.domains() == ()
    assert await family.writer.read(lambda reads: list(reads.execute("SELECT * FROM password"))) == []


async def test_removing_an_account_removes_all_its_rows(family: Family) -> None:
    accounts = family.accounts
    for name in ("anna", "ben"):
        await accounts.add_account(f"{name}@home.example", "x")
    await accounts.add_alias("us@home.example", "ben@home.example")
    await accounts.set_catch_all("home.example", "ben@home.example")
    await accounts.add_app_password("ben", "phone")
    gone: list[AccountId] = []
    await accounts.remove_account("Ben@home.example", also=lambda _, account: gone.append(account))
    assert gone == [2]
    assert not accounts.directory.resolve(parse_address("us@home.example")).known
    assert accounts.directory.catch_all("home.example") == ""
    assert AccountId(2) not in accounts.secrets.rows
    await refused(accounts.remove_account("ben@home.example"), "There is no a")
    assert (await accounts.add_account("ben@home.example", "x")).id == 3


async def test_domains(family: Family) -> None:
    accounts = family.accounts
    assert await accounts.add_domain("Home.Example.") == "home.example"
    assert await accounts.ensure_domain("home.example") == "home.example"
    await refused(accounts.add_domain("home.example"), "already")
    await refused(accounts.add_domain("not a domain"), "not a domain name")
    await accounts.add_account("anna@home.example", "x")
    await refused(accounts.remove_domain("home.example"), "home.example has accounts: anna@home.example")
    await accounts.add_domain("second.example")
    await accounts.add_alias("a@second.example", "anna@home.example")
    await refused(accounts.remove_domain("second.example"), "second.example has an alias: a@second.example. Remove it first")
    await accounts.remove_alias("a@second.example")
    await accounts.remove_domain("second.example")
    await refused(accounts.remove_domain("second.example"), "not a domain of this server")


async def test_aliases(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", "x")
    await accounts.add_alias("a@home.example", "anna@home.example")
    await refused(accounts.add_alias("A@home.example", "ANNA@home.example"), "already")
    await refused(accounts.add_alias("anna@home.example", "x@elsewhere.example"), "address of an account")
    await refused(accounts.add_alias("x@elsewhere.example", "anna@home.example"), "not a domain")
    await refused(accounts.add_alias("b@home.example", "nobody@home.example"), "There is no a")
    await refused(accounts.add_alias("b@home.example", "b@home.example"), "loop")
    await refused(accounts.add_alias("c@home.example", "a@home.example", "nobody@home.example"), "There is no a")
    await refused(accounts.add_alias("c@home.example", "a@home.example", "A@home.example"), "already")
    await refused(accounts.add_alias("c@home.example", "a@home.example", "c@home.example"), "loop")
    assert "c@home.example" not in dict(accounts.directory.aliases()), "all targets or none"
    await accounts.add_alias("b@home.example", "a@home.example")
    await refused(accounts.add_alias("a@home.example", "b@home.example"), "loop")
    await refused(accounts.add_account("a@home.example", "x"), "alias already")
    await refused(accounts.remove_alias("c@home.example"), "no alias")
    await refused(accounts.remove_alias("b@home.example", "x@elsewhere.example"), "does not lead")
    await accounts.set_catch_all("home.example", "b@home.example")
    await accounts.remove_alias("B@home.example")
    assert accounts.directory.catch_all("home.example") == ""
    await refused(accounts.set_catch_all("home.example", "nobody@home.example"), "neither")


async def test_app_passwords(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", "x")
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
    await accounts.add_account("anna@home.example", "x")
    (before,) = accounts.secrets.rows[AccountId(1)]
    await accounts.set_password("anna@home.example", "y")
    (after,) = accounts.secrets.rows[AccountId(1)]
    assert after.id > before.id
    await refused(accounts.set_password("ben@home.example", "y"), "There is no a")


async def test_memory_follows_the_database_also_when_the_caller_is_cancelled(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancel comes after the commit and before its waiter resumes."""
    await family.accounts.add_account("anna@home.example", "x")
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


async def test_use_is_written_hourly_and_only_by_a_trusted_clock(family: Family) -> None:
    accounts, clock = family.accounts, family.clock
    await accounts.add_account("anna@home.example", "x")
    (row,) = accounts.secrets.rows[AccountId(1)]

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


async def test_a_removed_account_receives_nothing_cannot_sign_in_and_is_restored_whole(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", PASSWORD)
    await accounts.add_account("ben@home.example", PASSWORD)
    await accounts.add_alias("us@home.example", "ben@home.example")
    await accounts.set_catch_all("home.example", "ben@home.example")
    await accounts.add_app_password("ben", "phone")
    before = (accounts.directory.tables.accounts, accounts.directory.tables.aliases, accounts.secrets.rows)
    await accounts.retire_account("ben@home.example")
    directory = accounts.directory
    for name in ("ben", "us", "nobody"):
        assert not directory.resolve(parse_address(f"{name}@home.example")).known
    assert directory.find_login("ben@home.example") is None and AccountId(2) not in accounts.secrets.rows
    assert [one.address for one in directory.removed()] == ["ben@home.example"]
    await refused(accounts.retire_account("ben@home.example"), "There is no a")
    await refused(accounts.add_account("Ben@home.example", PASSWORD), "account restore ben@home.example|Restore it with")
    await refused(accounts.restore_account("anna@home.example"), "No removed account")
    await accounts.restore_account("ben@home.example")
    after = (accounts.directory.tables.accounts, accounts.directory.tables.aliases, accounts.secrets.rows)
    assert before[:2] == after[:2] and [row.id for row in before[2][AccountId(2)]] == [row.id for row in after[2][AccountId(2)]]
    assert accounts.directory.resolve(parse_address("nobody@home.example")).accounts == (2,)


async def test_a_removed_account_is_erased_after_thirty_trusted_days_only(family: Family) -> None:
    accounts, gone = family.accounts, []
    await accounts.add_account("anna@home.example", PASSWORD)
    await accounts.add_account("ben@home.example", PASSWORD)
    await accounts.retire_account("ben@home.example")
    assert await accounts.purge_expired(lambda _, account: gone.append(account)) == []
    family.clock.wall_from_s += 30 * 86_400 - 1
    assert await accounts.purge_expired(lambda _, account: gone.append(account)) == []
    family.clock.wall_from_s += 1
    family.clock.is_trusted = False
    assert await accounts.purge_expired(lambda _, account: gone.append(account)) == []
    family.clock.is_trusted = True
    assert [one.address for one in await accounts.purge_expired(lambda _, account: gone.append(account))] == ["ben@home.example"]
    assert gone == [2] and accounts.directory.removed() == ()
    assert (await accounts.add_account("ben@home.example", PASSWORD)).id == 3


async def test_rename_keeps_the_old_address_as_alias_and_sign_in(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", PASSWORD)
    await accounts.add_account("ben@home.example", PASSWORD)
    await accounts.add_alias("us@home.example", "anna@home.example")
    await accounts.add_alias("us@home.example", "ben@home.example")
    await accounts.set_catch_all("home.example", "anna@home.example")
    rows = accounts.secrets.rows[AccountId(1)]
    await refused(accounts.rename_account("anna", "ben@home.example"), "There is an account")
    await refused(accounts.rename_account("anna", "us@home.example"), "is an alias already")
    await refused(accounts.rename_account("anna", "anna@else.example"), "not a domain of this server")
    renamed = await accounts.rename_account("anna", "Anne@home.example")
    directory = accounts.directory
    assert (renamed.id, renamed.address) == (1, "Anne@home.example")
    for name in ("anna", "anne", "nobody"):
        assert directory.resolve(parse_address(f"{name}@home.example")).accounts == (1,)
    assert set(directory.resolve(parse_address("us@home.example")).accounts) == {1, 2}
    for login in ("anna@home.example", "ANNA", "anne", "anne@home.example"):
        found = directory.find_login(login)
        assert found is not None and found.id == 1
    assert directory.find_login("us@home.example") is None, "two accounts: no name to sign in with"
    assert directory.may_send_as(AccountId(1), parse_address("anna@home.example"))
    for address in ("anna@home.example", "anne@home.example"):  # a relay whose settings name the old address goes on
        assert _comes_to(directory, parse_address(address), "anna@home.example")
    assert [row.id for row in accounts.secrets.rows[AccountId(1)]] == [row.id for row in rows]
    back = await accounts.rename_account("anne", "anna@home.example")
    assert back.address == "anna@home.example"
    assert dict(accounts.directory.aliases())["anne@home.example"] == ("anna@home.example",)
    assert "anna@home.example" not in dict(accounts.directory.aliases())


async def test_a_disabled_account_receives_and_cannot_sign_in(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", PASSWORD)
    await family.add_second_admin()
    await accounts.set_disabled("anna", True)
    await refused(accounts.set_disabled("anna", True), "disabled already")
    assert accounts.directory.resolve(parse_address("anna@home.example")).accounts == (1,)
    assert AccountId(1) not in accounts.secrets.rows
    await accounts.set_disabled("anna", False)
    assert len(accounts.secrets.rows[AccountId(1)]) == 1


async def test_quota_and_name_change_in_one_commit(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account("anna@home.example", PASSWORD, quota_octets=5)
    assert (await accounts.set_account("anna", name=" Anna Smith ")).quota_octets == 5
    changed = await accounts.set_account("anna", quota_octets=None)
    assert (changed.quota_octets, changed.name) == (None, "Anna Smith")
    await refused(accounts.set_account("anna", quota_octets=7, name="a\nb"), "name cannot be used")
    await refused(accounts.set_account("anna", quota_octets=0, name="x"), "quota is above 0")
    assert accounts.directory.accounts()[0] == changed
