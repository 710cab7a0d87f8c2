"""accounts/second_factor: on and off, codes used once, guesses slowed, and a clock that is not set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passwords import Passwords
from appliance.accounts.second_factor import FREE, PAUSE_S, RECOVERY_CODES, CodeThrottle, SecondFactors, new_secret
from appliance.accounts.totp import code_of, step_of
from appliance.database.database import Database
from appliance.mail.errors import SetupError
from tests.support.accounts import Counted, Family, TrioClock, a_family

ADA = "ada@home.example"
HOME, ELSEWHERE = b"home", b"far"
SECRET = new_secret()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with a_family(tmp_path) as family:
        yield family


def code(clock: TrioClock, away: int = 0, secret: bytes = SECRET) -> str:
    return code_of(secret, step_of(clock.wall_s()) + away)


async def enabled(accounts: Accounts, clock: TrioClock) -> tuple[SecondFactors, tuple[str, ...]]:
    factors = SecondFactors(accounts, clock)
    account = await accounts.add_account(ADA, "x")
    return factors, await factors.enable(account, SECRET, code(clock, -1))


async def test_on_with_a_right_code_and_every_session_without_one_ends(family: Family) -> None:
    accounts, factors = family.accounts, SecondFactors(family.accounts, family.clock)
    account = await accounts.add_account(ADA, "x")
    before = accounts.main_password(account.id)
    assert before is not None and await factors.use(account.id, "", HOME) == "", "without one no code is needed"
    with pytest.raises(SetupError, match="not the code"):
        await factors.enable(account, SECRET, "000000" if code(family.clock) != "000000" else "000001")
    assert factors.of(account.id) is None and accounts.is_current(account.id, before.id)
    typed = code(family.clock)
    codes = await factors.enable(account, SECRET, f"{typed[:3]} {typed[3:]}")
    assert len(set(codes)) == RECOVERY_CODES and factors.of(account.id) is not None and not accounts.is_current(account.id, before.id)
    assert await accounts.is_own_password(account, "x"), "the password is the same"
    assert "wrong" in await factors.use(account.id, typed, HOME), "the code that switched it on was used"
    with pytest.raises(SetupError, match="on already"):
        await factors.enable(account, SECRET, code(family.clock))
    again = Accounts(family.writer, accounts.passwords, family.clock)
    again.read(family.writer.read_now(lambda reads: reads))
    assert again.secrets.second_factors == accounts.secrets.second_factors
    stored = family.writer.read_now(lambda reads: [bytes(one) for (one,) in reads.execute("SELECT digest FROM recovery_code")])
    assert len(stored) == RECOVERY_CODES and not {one.encode() for one in codes} & set(stored)


async def test_a_code_is_good_once_and_never_older_than_the_last(family: Family) -> None:
    factors, _ = await enabled(family.accounts, family.clock)
    account = family.accounts.directory.accounts()[0].id
    assert await factors.use(account, code(family.clock, 1), HOME) == ""
    for away in (1, 0, -1):
        assert "used before" in await factors.use(account, code(family.clock, away), HOME)


async def test_recovery_codes_are_good_once_and_go_with_new_ones(family: Family) -> None:
    factors, codes = await enabled(family.accounts, family.clock)
    account = family.accounts.directory.accounts()[0]
    assert await factors.use(account.id, codes[0].upper().replace("-", " "), HOME) == ""
    assert "used before" in await factors.use(account.id, codes[0], HOME)
    factor = factors.of(account.id)
    assert factor is not None and factor.codes_left == RECOVERY_CODES - 1
    renewed = await factors.renew_codes(account)
    assert "used before" in await factors.use(account.id, codes[1], HOME) and await factors.use(account.id, renewed[1], HOME) == ""
    await factors.remove(account)
    assert factors.of(account.id) is None
    assert family.writer.read_now(lambda reads: list(reads.execute("SELECT * FROM recovery_code"))) == []
    for change in (factors.remove, factors.renew_codes):
        with pytest.raises(SetupError, match="no second factor"):
            await change(account)


async def test_nothing_is_left_of_an_erased_account(family: Family) -> None:
    await enabled(family.accounts, family.clock)
    await family.add_second_admin()
    await family.accounts.remove_account(ADA)
    for table in ("second_factor", "recovery_code"):
        assert family.writer.read_now(lambda reads, table=table: list(reads.execute(f"SELECT * FROM {table}"))) == []


async def test_while_the_clock_is_not_set_recovery_codes_alone_work(family: Family) -> None:
    factors, codes = await enabled(family.accounts, family.clock)
    account = family.accounts.directory.accounts()[0]
    family.clock.is_trusted = False
    for _ in range(FREE + 2):
        assert "clock of the server is not set" in await factors.use(account.id, code(family.clock, 1), HOME), "and nothing is counted"
    assert await factors.use(account.id, codes[0], HOME) == ""
    await factors.remove(account)
    with pytest.raises(SetupError, match="clock of the server is not set"):
        await factors.enable(account, SECRET, code(family.clock))


async def test_wrong_codes_wait_and_the_owner_at_home_does_not(family: Family) -> None:
    factors, codes = await enabled(family.accounts, family.clock)
    account = family.accounts.directory.accounts()[0].id
    assert await factors.use(account, codes[0], HOME) == ""
    for _ in range(FREE):
        assert "wrong" in await factors.use(account, "wrong-code", ELSEWHERE)
    assert "wait 30 seconds" in await factors.use(account, codes[1], ELSEWHERE), "a right one too, unchecked"
    assert await factors.use(account, codes[1], HOME) == ""


def test_the_waits_grow_to_a_quarter_of_an_hour_and_many_at_once_count_each() -> None:
    throttle, now, waits = CodeThrottle(), 0.0, []
    assert [throttle.take(1, HOME, now) for _ in range(FREE)] == [0.0] * FREE
    for _ in range(8):
        waits.append(throttle.take(1, ELSEWHERE, now))
        now += waits[-1]
        assert throttle.take(1, HOME, now) == 0.0
    assert waits[:3] == [30.0, 60.0, 120.0] and waits[-1] == PAUSE_S[1] and throttle.take(2, HOME, now) == 0.0
    throttle.right(1, HOME)
    assert throttle.take(1, HOME, now) == 0.0


@pytest.mark.parametrize("kind", ["app", "recovery"])
async def test_of_two_requests_with_one_code_one_is_accepted(tmp_path: Path, kind: str) -> None:
    async with await Database.open(tmp_path / "pillarbox.db") as database:
        accounts, clock, said = Accounts(database, Passwords(Counted()), TrioClock()), TrioClock(), []
        factors, codes = await enabled(accounts, clock)
        account, typed = accounts.directory.accounts()[0].id, code(clock, 1) if kind == "app" else codes[0]

        async def use() -> None:
            said.append(await factors.use(account, typed, HOME))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(use)
        assert sorted(map(bool, said)) == [False, True, True]
