"""The setup code: made without accounts, stored as a hash, throttled, dead with the first account."""

import pytest

from appliance.accounts.setup_code import KEY, SetupCode, claim, normalised
from appliance.database.group import Transaction
from appliance.mail.errors import SetupError
from tests.support.accounts import Counted, Family

PASSWORD = "Correct-Horse-7"


def code_of(family: Family) -> SetupCode:
    return SetupCode(family.writer, Counted(), family.clock, lambda: bool(family.accounts.directory.accounts()))


async def stored(family: Family) -> bytes:
    row = await family.writer.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone())
    return bytes(row[0]) if row else b""


async def test_only_its_hash_is_stored_and_it_is_typed_in_any_form(family: Family) -> None:
    code = code_of(family)
    assert code.shown == ""
    await code.prepare()
    shown = code.shown
    assert len(shown) == 14 and normalised(shown) == shown, "12 characters of 31 are 59 bits"
    assert shown.encode() not in await stored(family) and shown.replace("-", "").encode() not in await stored(family)
    for typed in (shown, shown.upper(), shown.replace("-", ""), f"  {shown.replace('-', ' ')}\t"):
        assert (await code.verify(typed)).accepted
    for typed in ("", shown[:-1], "aaaa-aaaa-aaaa", "ÄÄÄÄ-aaaa-aaaa", "x" * 10_000):
        verdict = await code.verify(typed, b"192.0.2.9")
        assert not verdict.accepted and verdict.problem


async def test_a_restart_keeps_the_code_that_is_given_back_and_voids_any_other(family: Family) -> None:
    first = code_of(family)
    await first.prepare()
    again = code_of(family)
    await again.prepare(first.shown)
    assert again.shown == first.shown
    other = code_of(family)
    await other.prepare("aaaa-aaaa-aaaa")
    assert other.shown not in (first.shown, "aaaa-aaaa-aaaa")
    assert not (await other.verify(first.shown)).accepted and (await other.verify(other.shown)).accepted


async def test_guesses_are_throttled_for_each_source(family: Family) -> None:
    code = code_of(family)
    await code.prepare()
    for _ in range(10):
        assert (await code.verify("aaaa-aaaa-aaaa", b"192.0.2.1")).wait_s == 0
    held = await code.verify(code.shown, b"192.0.2.1")
    assert not held.accepted and 0 < held.wait_s <= 6, "the right one has to wait as well"
    assert (await code.verify(code.shown, b"192.0.2.2")).accepted, "another source has its own tries"
    for _ in range(30):
        assert (await code.verify(code.shown, b"")).accepted, "the right one uses up no try"


async def test_the_first_account_ends_it_however_it_is_added(family: Family) -> None:
    code = code_of(family)
    await code.prepare()
    shown = code.shown
    await family.accounts.add_account("ada@home.example", PASSWORD)
    assert code.shown == "" and await stored(family) == b""
    assert "no setup code any more" in (await code.verify(shown)).problem
    after = code_of(family)
    await after.prepare(shown)
    assert after.shown == "" and await stored(family) == b"", "a server with accounts makes none"


async def test_two_claims_make_one_account(family: Family) -> None:
    code = code_of(family)
    await code.prepare()

    def also(transaction: Transaction, account: object) -> None:
        claim(transaction)

    await family.accounts.add_account("ada@home.example", PASSWORD, also=also)
    with pytest.raises(SetupError, match="has been used"):
        await family.accounts.add_account("ben@home.example", PASSWORD, also=also)
    assert [account.address for account in family.accounts.directory.accounts()] == ["ada@home.example"]
