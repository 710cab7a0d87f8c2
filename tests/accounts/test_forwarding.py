"""Forwarding: nothing goes anywhere before its code is known, and nothing is lost or sent in circles."""

from pathlib import Path

import pytest

from appliance.accounts import forwarding
from appliance.accounts.directory import Resolution
from appliance.mail.address import parse_address
from appliance.mail.errors import SetupError
from tests.support.accounts import Family, a_family

PASSWORD = "Correct-Horse-7"
AT = 1_700_000_000


@pytest.fixture
async def family(tmp_path: Path):  # type: ignore[no-untyped-def]
    with a_family(tmp_path) as made:
        for name in ("ada", "mary"):
            await made.accounts.add_account(f"{name}@home.example", PASSWORD)
        yield made


async def asked(family: Family, target: str, *, keep: bool = True, now_at: int = AT) -> str:
    """The code."""
    account = family.accounts.directory.accounts()[0]
    _, code = await family.accounts.change(
        lambda transaction, tables: forwarding.ask(transaction, tables, account, target, keep=keep, now_at=now_at)
    )
    return code


async def confirmed(family: Family, code: str, now_at: int = AT) -> str:
    account = family.accounts.directory.accounts()[0]
    return await family.accounts.change(lambda transaction, tables: forwarding.confirm(transaction, account.id, code, now_at))


def reached(family: Family) -> Resolution:
    directory = family.accounts.directory
    return directory.forwarded(directory.resolve(parse_address("ada@home.example")))


async def test_it_begins_with_the_code_and_a_copy_stays_or_not(family: Family) -> None:
    ada, mary = (one.id for one in family.accounts.directory.accounts())
    friend = parse_address("ada@friend.example")
    code = await asked(family, "ada@friend.example")
    assert reached(family) == Resolution((ada,), (), True)
    assert await confirmed(family, code[:4] + " " + code[4:]) == "ada@friend.example"
    assert reached(family) == Resolution((ada,), (friend,), True)
    code = await asked(family, "mary@home.example", keep=False)
    assert reached(family).outside == (friend,), "the one before stays on until then"
    await confirmed(family, code)
    assert reached(family) == Resolution((mary,), (), True)
    assert family.accounts.directory.may_send_as(ada, parse_address("ada@home.example"))
    account = family.accounts.directory.accounts()[0]
    await family.accounts.change(lambda transaction, tables: forwarding.stop(transaction, account.id))
    assert reached(family) == Resolution((ada,), (), True)


async def test_wrong_and_old_codes(family: Family) -> None:
    code = await asked(family, "ada@friend.example")
    assert await confirmed(family, code, AT + forwarding.VALID_S + 1) == ""
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _ in range(forwarding.TRIES - 1):
        assert await confirmed(family, wrong) == ""
    assert await confirmed(family, code) == "", "too many tries"
    code = await asked(family, "ada@friend.example", now_at=AT + 100)
    with pytest.raises(SetupError, match="a moment ago"):
        await asked(family, "other@friend.example", now_at=AT + 110)
    assert await confirmed(family, code, AT + 110) == "ada@friend.example"


async def test_no_circles_and_nothing_lost(family: Family) -> None:
    ada, mary = family.accounts.directory.accounts()
    for target in ("ada@home.example", "ada+tag@home.example", "nobody@home.example", "no address"):
        with pytest.raises(SetupError):
            await asked(family, target)
    await confirmed(family, await asked(family, "mary@home.example", keep=False))
    _, code = await family.accounts.change(
        lambda transaction, tables: forwarding.ask(transaction, tables, mary, ada.address, keep=False, now_at=AT)
    )
    await family.accounts.change(lambda transaction, tables: forwarding.confirm(transaction, mary.id, code, AT))
    assert reached(family).accounts == (mary.id,), "once, not in a circle"
    await family.accounts.remove_account("mary@home.example")
    assert reached(family) == Resolution((ada.id,), (), True), "the target is gone"


async def test_an_alias_to_an_account_that_forwards(family: Family) -> None:
    await family.accounts.add_alias("all@home.example", "ada@home.example", "mary@home.example")
    await confirmed(family, await asked(family, "ada@friend.example", keep=False))
    directory, (_, mary) = family.accounts.directory, family.accounts.directory.accounts()
    found = directory.forwarded(directory.resolve(parse_address("all@home.example")))
    assert found == Resolution((mary.id,), (parse_address("ada@friend.example"),), True)
