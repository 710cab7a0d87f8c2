"""Login checks on virtual time: outcomes, durations, events."""

from dataclasses import replace
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from appliance.accounts.totp import SecondFactor
from appliance.auth.identity import Identity
from appliance.auth.login import FAILURE_S
from appliance.mail.errors import AuthError
from appliance.mail.ids import AccountId
from appliance.mail.limits import LOGIN_S
from appliance.status.events import LoginFailed, LoginSucceeded
from tests.support.accounts import Family

HOME, STRANGER = "192.0.2.7", "203.0.113.9"
ANNA = Identity(AccountId(1), "anna@home.example")


@pytest.fixture
async def server(family: Family) -> Family:
    await family.accounts.add_account("anna@home.example", "right")
    await family.accounts.add_account("ben@home.example", "other")
    family.threads.runs = 0
    return family


async def check(server: Family, name: str, password: str, peer: str = HOME) -> tuple[Identity | None, float]:
    """The answer and the seconds it took."""
    begun = trio.current_time()
    identity = await server.login.check(name, password, peer=peer, protocol="imaps", mechanism="PLAIN")
    return identity, trio.current_time() - begun


async def test_right_wrong_and_unknown(server: Family, autojump_clock: MockClock) -> None:
    assert await check(server, "Anna@HOME.example", "right") == (ANNA, 0)
    assert await check(server, "anna", "right") == (ANNA, 0)
    assert await check(server, "anna", "wrong") == (None, FAILURE_S)
    assert await check(server, "nobody", "wrong") == (None, FAILURE_S)
    assert await check(server, "ben", "right") == (None, FAILURE_S)
    assert server.board.heard == [
        LoginSucceeded("imaps", HOME, "anna@home.example", "PLAIN"),
        LoginSucceeded("imaps", HOME, "anna@home.example", "PLAIN"),
        LoginFailed("imaps", HOME, "anna", "PLAIN"),
        LoginFailed("imaps", HOME, "nobody", "PLAIN"),
        LoginFailed("imaps", HOME, "ben", "PLAIN"),
    ]


async def test_known_and_unknown_cost_the_same(server: Family, autojump_clock: MockClock) -> None:
    costs = []
    for name in ("anna", "nobody"):
        begun = server.threads.runs
        took = [round((await check(server, name, f"wrong {number}", STRANGER))[1], 6) for number in range(25)]
        costs.append((took, server.threads.runs - begun))
        await trio.sleep(3600)
    assert costs[0] == costs[1]


async def test_a_login_seen_before_needs_no_thread(server: Family, autojump_clock: MockClock) -> None:
    await check(server, "anna", "right")
    assert server.threads.runs == 1
    for number in range(20):
        assert await check(server, "anna", "right", f"198.51.100.{number}") == (ANNA, 0)
    assert server.threads.runs == 1


async def test_forgotten_when_the_password_changes(server: Family, autojump_clock: MockClock) -> None:
    await check(server, "anna", "right")
    await check(server, "anna", "new")
    await server.accounts.set_password("anna", "new")
    assert (await check(server, "anna", "right"))[0] is None
    assert await check(server, "anna", "new") == (ANNA, 0)


async def test_forgotten_when_the_account_is_removed(server: Family, autojump_clock: MockClock) -> None:
    await check(server, "anna", "right")
    await server.add_second_admin()
    await server.accounts.remove_account("anna")
    assert (await check(server, "anna", "right"))[0] is None


async def test_app_passwords(server: Family, autojump_clock: MockClock) -> None:
    password = await server.accounts.add_app_password("anna", "phone")
    assert (await check(server, "anna", password))[0] == Identity(AccountId(1), "anna@home.example", "phone")
    assert (await check(server, "ben", password))[0] is None
    await server.accounts.remove_app_password("anna", "phone")
    assert (await check(server, "anna", password))[0] is None


async def test_a_connection_that_shows_the_same_credentials_goes_on_until_they_are_worth_nothing(
    server: Family, autojump_clock: MockClock
) -> None:
    password = await server.accounts.add_app_password("anna", "phone")
    main, phone = [(await check(server, "anna", one))[0] for one in ("right", password)]
    assert main is not None and phone is not None
    ask = partial(server.login.goes_on, peer=HOME, protocol="jmap")
    assert ask(main) and ask(phone)
    await server.accounts.remove_app_password("anna", "phone")
    assert ask(main) and not ask(phone)
    assert not ask(replace(main, address="other@home.example"))
    server.accounts.secrets.second_factors[main.account] = SecondFactor(b"", b"", 0, 0, 0)
    assert not ask(main) and server.login.goes_on(main, peer=HOME, protocol="https")
    server.accounts.secrets.second_factors.clear()
    ben = (await check(server, "ben", "other"))[0]
    assert ben is not None and ask(ben)
    await server.accounts.remove_account("ben")
    assert not ask(ben)


async def test_the_same_wrong_password_again_is_free(server: Family, autojump_clock: MockClock) -> None:
    for _ in range(50):
        assert await check(server, "anna", "old one", STRANGER) == (None, FAILURE_S)
    assert server.threads.runs == 1
    assert await check(server, "anna", "right", STRANGER) == (ANNA, 0)


async def test_about_ten_guesses_a_minute_however_many_connections(server: Family, autojump_clock: MockClock) -> None:
    async def guesser(number: int) -> None:
        with trio.move_on_after(600):
            for guess in range(1000):
                with trio.move_on_after(5):  # it disconnects and reconnects
                    await check(server, f"name {guess}", f"guess {number} {guess}", STRANGER)

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(guesser, number)
    assert 95 <= server.threads.runs <= 115


async def test_ipv6_counts_by_64(server: Family, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(check, server, f"name {number}", "x", f"2001:db8:1:2::{number:x}")
    assert server.threads.runs <= 21
    assert await check(server, "anna", "right", "2001:db8:1:3::1") == (ANNA, 0)


async def test_the_owner_goes_on_while_others_guess(server: Family, autojump_clock: MockClock) -> None:
    await check(server, "anna", "right")

    async def guesser(peer: str) -> None:
        for guess in range(200):
            await check(server, "anna", f"{peer} {guess}", peer)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(guesser, f"198.51.100.{number}")
        for guess in range(30):
            nursery.start_soon(check, server, "ben", f"guess {guess}", HOME)
        for _ in range(20):
            await trio.sleep(3)
            assert await check(server, "anna", "right") == (ANNA, 0)
        identity, waited_s = await check(server, "anna", "right", "198.51.100.99")
        assert identity == ANNA
        assert waited_s <= 20
        nursery.cancel_scope.cancel()


async def test_no_answer_is_held_for_ever(server: Family, autojump_clock: MockClock) -> None:
    answers: list[tuple[Identity | None, float]] = []

    async def guess(number: int) -> None:
        answers.append(await check(server, f"name {number}", "x", STRANGER))

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(guess, number)
    assert len(answers) == 100
    assert all(identity is None and took_s <= LOGIN_S + FAILURE_S + 0.01 for identity, took_s in answers)
    assert server.threads.runs <= 21


async def test_a_storm_of_one_password_is_one_check(server: Family, autojump_clock: MockClock) -> None:
    answers: list[tuple[Identity | None, float]] = []

    async def sign_in(name: str, password: str) -> None:
        answers.append(await check(server, name, password))

    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(sign_in, "anna", "right")
            nursery.start_soon(sign_in, "ben@home.example", "other")
    assert server.threads.runs == 2
    assert {(identity.address if identity else None, took_s) for identity, took_s in answers} == {
        ("anna@home.example", 0.0),
        ("ben@home.example", 0.0),
    }


async def test_a_waiting_try_goes_on_when_another_is_returned_to_its_bucket(server: Family, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(check, server, f"name {number}", "x", STRANGER)
    assert await check(server, "anna", "right", STRANGER) == (ANNA, 0)
    assert await check(server, "ben", "other", STRANGER) != (None, 0)


async def test_what_cannot_be_a_login(server: Family, autojump_clock: MockClock) -> None:
    for name, password in (("", "x"), ("anna", ""), ("a" * 400, "x"), ("anna", "x" * 2000), ("an\0na", "x"), ("anna", "\udc80\0")):
        assert await check(server, name, password) == (None, FAILURE_S)
    assert server.threads.runs == 0
    assert all(len(event.name) <= 64 and "\0" not in event.name for event in server.board.heard if isinstance(event, LoginFailed))


async def test_a_fault_is_no_refusal_and_counts_for_nothing(
    server: Family, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise AuthError("no argon2 here")

    with monkeypatch.context() as patch:
        patch.setattr(server.accounts.passwords, "find", broken)
        for number in range(30):
            with pytest.raises(AuthError):
                await check(server, "anna", f"{number}", STRANGER)
    assert await check(server, "anna", "right", STRANGER) == (ANNA, 0)


async def test_older_verifiers_are_written_anew(server: Family, autojump_clock: MockClock) -> None:
    server.accounts.passwords.scram_for_all = False
    assert server.login.candidate("anna").rows == ()
    await check(server, "anna", "right")
    (row,) = server.accounts.secrets.rows[AccountId(1)]
    assert row.verifiers.scram is None
    assert await check(server, "anna", "right") == (ANNA, 0)
    assert server.threads.runs == 2


async def test_nothing_secret_is_kept_in_plain_text(server: Family, autojump_clock: MockClock) -> None:
    await check(server, "anna", "right")
    await check(server, "anna", "a wrong one")
    kept = repr([vars(server.login), vars(server.throttle), vars(server.login._remembered), server.board.heard, server.accounts.secrets])
    assert "right" not in kept
    assert "a wrong one" not in kept
