"""The role of an administrator: the first account has it, others may, and somebody who can sign in always does."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passwords import Passwords
from appliance.database.database import Database
from appliance.mail.errors import SetupError
from tests.support.accounts import Counted, Family, TrioClock, a_family

ADA, BEN = "ada@home.example", "ben@home.example"
Removal = Callable[[Accounts, str], Awaitable[object]]
REMOVALS: dict[str, Removal] = {
    "role": lambda accounts, address: accounts.set_admin(address, False),
    "disable": lambda accounts, address: accounts.set_disabled(address, True),
    "retire": lambda accounts, address: accounts.retire_account(address),
    "erase": lambda accounts, address: accounts.remove_account(address),
}


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with a_family(tmp_path) as family:
        yield family


def administrators(accounts: Accounts) -> list[str]:
    return [one.address for one in accounts.directory.accounts() if accounts.directory.is_admin(one.id)]


@pytest.mark.parametrize("kind", REMOVALS)
async def test_the_last_one_stays(family: Family, kind: str) -> None:
    accounts, remove = family.accounts, REMOVALS[kind]
    await accounts.add_account(ADA, "x")
    await accounts.add_account(BEN, "x")
    assert administrators(accounts) == [ADA]
    with pytest.raises(SetupError, match="is the only administrator"):
        await remove(accounts, ADA)
    await accounts.set_admin(BEN, True)
    await remove(accounts, ADA)
    assert administrators(accounts) == [BEN]
    with pytest.raises(SetupError, match="only administrator"):
        await remove(accounts, BEN)
    again = Accounts(family.writer, accounts.passwords, family.clock)
    again.read(family.writer.read_now(lambda reads: reads))
    assert administrators(again) == [BEN]


async def test_who_cannot_sign_in_does_not_count(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account(ADA, "x")
    await accounts.add_account(BEN, "x")
    await accounts.set_admin(BEN, True)
    await accounts.set_disabled(BEN, True)
    with pytest.raises(SetupError, match="only administrator"):
        await accounts.set_admin(ADA, False)
    await accounts.set_admin(BEN, False)
    for is_admin in (True, False):
        with pytest.raises(SetupError, match="administrator"):
            await accounts.set_admin(ADA if is_admin else BEN, is_admin)


async def test_restored_as_it_was(family: Family) -> None:
    accounts = family.accounts
    await accounts.add_account(ADA, "x")
    await accounts.add_account(BEN, "x")
    await accounts.set_admin(BEN, True)
    await accounts.retire_account(ADA)
    await accounts.restore_account(ADA)
    assert administrators(accounts) == [ADA, BEN]


@pytest.mark.parametrize("kind", REMOVALS)
async def test_two_at_once_that_each_remove_one_of_the_last_two(tmp_path: Path, kind: str) -> None:
    """Both changes wait for the same group commit of the real writer."""
    async with await Database.open(tmp_path / "pillarbox.db") as database:
        accounts, refused = Accounts(database, Passwords(Counted()), TrioClock()), []
        for address in (ADA, BEN):
            await accounts.add_account(address, "x")
        await accounts.set_admin(BEN, True)

        async def remove(address: str) -> None:
            try:
                await REMOVALS[kind](accounts, address)
            except SetupError:
                refused.append(address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(remove, ADA)
            nursery.start_soon(remove, BEN)
        assert len(refused) == 1 and administrators(accounts) == refused
