"""Access: viewing is open, changes require the password, what cannot be undone asks once more, noise does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from appliance.control import requests as controls
from appliance.control.requests import Request, Response
from appliance.panel.dialogue import FETCH_S, TYPED, Dialogue
from appliance.panel.keys import NOISE
from appliance.panel.ports import AccessGuard, AdminGrant, ConsoleOptions, SignInStep
from appliance.panel.terminal import FULL_OCTETS, Vt100
from appliance.status import events as e
from tests.support.console import ADMIN, UNLOCKED, AdminOf, GrantOf, ServerAnswers, busy_board, locked
from tests.support.vt100 import Vt100Screen


class Session:
    """A dialogue whose pictures are all shown."""

    def __init__(self, access: AccessGuard, server: ServerAnswers) -> None:
        self.board, self.server, self.access = busy_board(), server, access
        self.dialogue = Dialogue(self.board, server, ConsoleOptions(), access, touched=lambda: None)

    async def keys(self, *keys: str) -> str:
        for key in keys:
            self.dialogue.press(key)
            await wait_all_tasks_blocked()
            await self.text()
        return await self.text()

    async def text(self) -> str:
        self.dialogue.picture()
        await wait_all_tasks_blocked()
        screen = Vt100Screen()
        screen.feed(Vt100().render(self.dialogue.picture()))
        self.dialogue.seen(self.dialogue.question)
        return screen.text()


@asynccontextmanager
async def dialogue_session(access: AccessGuard | None = None, server: ServerAnswers | None = None) -> AsyncIterator[Session]:
    session = Session(access or locked(), server or ServerAnswers())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.dialogue.work)
        yield session
        nursery.cancel_scope.cancel()


PASSWORD = (*ADMIN, "enter")

CHANGES = [
    (("2", "r"), (), controls.RetryMessage("40")),
    (("2", "h"), (), controls.HoldMessage("40")),
    (("2", "down", "h"), (), controls.ReleaseMessage("41")),
    (("2", "down", "down", "c"), ("y",), controls.CancelMessage("42")),
    (("2", "w"), (*"direct", "enter"), controls.RerouteMessage("40", "direct")),
    (("2", "f"), (), controls.FlushQueue()),
    (("4", "a"), (*"eve@home.example", "enter", *"long-secret-1", "enter"), controls.AddAccount("eve@home.example", "long-secret-1")),
    (("4", "down", "p"), (*"secret", "enter", "y"), controls.SetPassword("ben@home.example", "secret")),
    (("4", "w"), (*"phone", "enter"), controls.AddAppPassword("ada@home.example", "phone")),
    (("4", "m"), ("y",), controls.SetAdmin("ada@home.example", False)),
    (("4", "down", "m"), ("y",), controls.SetAdmin("ben@home.example", True)),
    (("7", "n"), ("y",), controls.RenewCertificate()),
    (("7", "a"), ("y",), controls.NewAuthority()),
    (("9", "s"), ("y",), controls.ShutDown()),
    (("9", "b"), ("y",), controls.Restart()),
]


@pytest.mark.parametrize(("route", "more", "request_"), CHANGES, ids=[type(row[2]).__name__ for row in CHANGES])
async def test_changing_asks_for_the_password_once(
    route: tuple[str, ...], more: tuple[str, ...], request_: Request, autojump_clock: object
) -> None:
    async with dialogue_session() as session:
        assert "Password of ada@home.example:" in await session.keys(*route)
        await session.keys(*more)  # typed without the password: nothing is done
        await session.keys("esc", "esc", "esc")
        assert session.server.changes() == []
        await trio.sleep(10)  # that was a wrong password
        await session.keys(*route, *PASSWORD, *more)
        assert session.server.changes() == [request_]
        await session.keys("esc")
        assert "Password of" not in await session.keys(*route)  # once is enough for a while


@pytest.mark.parametrize(("route", "more", "request_"), CHANGES, ids=[type(row[2]).__name__ for row in CHANGES])
async def test_no_password_where_none_is_required(route: tuple[str, ...], more: tuple[str, ...], request_: Request) -> None:
    async with dialogue_session(UNLOCKED) as session:
        assert "read only" not in await session.keys(*route, *more)
        assert session.server.changes() == [request_]


async def test_viewing_needs_no_password() -> None:
    async with dialogue_session() as session:
        for route, word in (
            (("1",), "Queue     3 waiting"),
            (("2", "enter"), "accepted from ada@home.example"),
            (("3", "enter"), "The message K3F7"),
            (("4",), "ben@home.example"),
            (("5",), "CLOSED: the address is in use"),
            (("6", "enter"), "v=spf1"),
            (("6", "c"), "Done."),
            (("7",), "SHA-256"),
            (("7", "e"), "Done."),
            (("8",), "peer=192.168.1.89"),
            (("9",), "has run for"),
            (("?",), "Esc"),
            (("1", "h"), "Another program"),
        ):
            assert word in await session.keys("esc", "esc", *route), route
        assert session.server.changes() == [controls.ExportCertificate()]


@pytest.mark.parametrize("answer", ["n", "enter", "esc", "c", " ", "1"])
async def test_any_other_answer_changes_nothing(answer: str) -> None:
    async with dialogue_session(UNLOCKED) as session:
        assert "Cancel M7A0" in await session.keys("2", "c")
        assert "Nothing was changed." in await session.keys(answer)
        assert session.server.changes() == []


async def test_a_question_that_was_not_shown_is_not_answered() -> None:
    """Line noise and pasted text that happen to read "cy"."""
    async with dialogue_session(UNLOCKED) as session:
        await session.keys("2")
        session.dialogue.press("c")
        for _ in range(3):
            session.dialogue.press("y")
        await wait_all_tasks_blocked()
        assert session.server.changes() == []
        assert "Cancel M7A0" in await session.text()
        await session.keys("y")
        assert session.server.changes() == [controls.CancelMessage("40")]


async def test_a_wrong_password_costs_time(autojump_clock: object) -> None:
    async with dialogue_session() as session:
        assert "password is wrong. The next try in 1 s." in await session.keys("2", "r", *"wrong", "enter")
        assert "Wait" in await session.keys("r")
        await trio.sleep(1.1)
        await session.keys("r", *"again", "enter")
        await trio.sleep(1.1)
        assert "Wait" in await session.keys("r")
        await trio.sleep(1.1)
        await session.keys("r", *PASSWORD)
        assert session.server.changes() == [controls.RetryMessage("40")]
        for _ in range(40):
            step = session.access.begin()
            assert isinstance(step, SignInStep)
            refusal = await session.access.answered(step, "wrong")
        assert "next try in 60 s" in str(refusal) and session.access.wait_s == 60


async def test_no_administrator_says_so() -> None:
    async with dialogue_session(AccessGuard(AdminOf(""))) as session:
        assert "No account is an administrator" in await session.keys("2", "r")


async def test_the_one_time_password_is_on_the_first_screen_until_it_is_used() -> None:
    admin = AdminOf("", one_time="maple-otter")
    async with dialogue_session(AccessGuard(admin)) as session:
        assert "One-time password: maple-otter" in await session.keys("1")
        await session.keys("2", "r", *"maple-otter", "enter")
        assert session.server.changes() == [controls.RetryMessage("40")]
        admin.one_time = ""
        assert "maple-otter" not in await session.keys("1")


async def test_unlocking_ends_after_idle_time_and_on_leaving(autojump_clock: object) -> None:
    async with dialogue_session() as session:
        assert "unlocked" in await session.keys("2", "r", *PASSWORD)
        await trio.sleep(200)
        assert "unlocked" in await session.keys("down")
        await trio.sleep(301)
        session.dialogue.check_idle()
        text = await session.text()
        assert "read only" in text and "Overview" in text
        assert "unlocked" in await session.keys("2", "r", *PASSWORD)
        assert "read only" in await session.keys("q")
        assert "Password of" in await session.keys("2", "r")


@pytest.mark.parametrize("gone", ["password", "role"])
async def test_a_new_password_and_a_lost_role_lock_what_was_unlocked(gone: str) -> None:
    admin = AdminOf()
    async with dialogue_session(AccessGuard(admin)) as session:
        assert "unlocked" in await session.keys("2", "r", *PASSWORD)
        assert "Cancel M7A0" in await session.keys("c")
        before = session.server.changes()
        if gone == "password":
            admin.password = "another good secret"
        else:
            admin.is_admin = False
        text = await session.text()
        assert "read only" in text and "Overview" in text and "Cancel" not in text, "without a key being pressed"
        await session.keys("2", "y")
        assert "Password of" in await session.keys("c") and session.server.changes() == before
        admin.is_admin = True
        await session.keys(*admin.password, "enter")
        assert "unlocked" in await session.text()


async def test_a_password_that_is_replaced_while_it_is_checked_opens_nothing() -> None:
    class Replaced(AdminOf):
        async def check(self, password: str) -> SignInStep | AdminGrant | str:
            grant = await super().check(password)
            self.password = "another good secret"
            return grant

    async with dialogue_session(AccessGuard(Replaced())) as session:
        text = await session.keys("2", "r", *PASSWORD)
        assert "read only" in text and "changed meanwhile" in text and session.server.changes() == []


async def test_a_sign_in_of_two_steps() -> None:
    class Several(AdminOf):
        """Asks for an address first."""

        def begin(self) -> SignInStep | str:
            return SignInStep("Address of an administrator:", self.named, hidden=False)

        async def named(self, address: str) -> SignInStep:
            return SignInStep(f"Password of {address}:", self.check)

    async with dialogue_session(AccessGuard(Several())) as session:
        assert "Address of an administrator: ben" in await session.keys("2", "r", *"ben")
        assert "Password of ben: ***" in await session.keys("enter", *"abc")
        await session.keys("esc")
        await session.keys("r", *"ben", "enter", *PASSWORD)
        assert session.server.changes() == [controls.RetryMessage("40")]


async def test_a_secret_is_shown_once_and_not_for_long(autojump_clock: object) -> None:
    async with dialogue_session(UNLOCKED) as session:
        await session.keys("4", "a", *"eve@home.example", "enter")
        assert "maple-otter-seven" in await session.keys("enter")
        await trio.sleep(301)
        session.dialogue.check_idle()
        assert "maple-otter-seven" not in await session.text()


async def test_passwords_never_show() -> None:
    async with dialogue_session() as session:
        for text in (await session.keys("4", "p", *ADMIN), await session.keys("enter", *"new-secret")):
            assert "sesame" not in text and "new-secret" not in text and "*****" in text
        assert "secret" not in repr(session.dialogue.typing)


async def test_a_refusal_is_shown_in_the_server_s_words() -> None:
    async with dialogue_session(UNLOCKED) as session:
        text = await session.keys("4", "a", *"eve", "enter", "enter")
        assert '"eve" is no address.' in text and "NAME@DOMAIN" in text


async def test_an_error_or_silence_of_the_server_ends_nothing(autojump_clock: object) -> None:
    class Broken(ServerAnswers):
        async def ask(self, request: Request) -> Response:
            if isinstance(request, controls.HoldMessage):
                raise RuntimeError("lost")
            if isinstance(request, controls.RetryMessage):
                await trio.sleep_forever()
            return await super().ask(request)

    async with dialogue_session(UNLOCKED, server=Broken()) as session:
        assert "The server could not do that: lost" in await session.keys("2", "h")
        assert "One moment" in await session.keys("r")
        assert "still busy" in await session.keys("f")
        await trio.sleep(61)
        assert "did not answer" in await session.text()
        assert "Done." in await session.keys("f")


async def test_a_list_is_fetched_again_at_a_limited_rate(autojump_clock: object) -> None:
    async with dialogue_session() as session:
        await session.keys("2", "down", "down")
        asked = len(session.server.asked)
        for n in range(50):
            session.board.publish(e.QueueState(n, 0, 0, 0, 1, 10.0, 5.0))
            session.server.rows = session.server.rows[-3:]
            await session.text()
        assert len(session.server.asked) == asked
        session.server.rows.insert(0, {**session.server.rows[0], "id": 99})
        await trio.sleep(FETCH_S * 2)
        text = await session.text()
        assert "  99 " in text and "> 42 " in text  # the selected line stays selected
        assert len(session.server.asked) == asked + 1
        await trio.sleep(60)
        assert len(session.server.asked) == asked + 1


async def test_power_asks_once() -> None:
    async with dialogue_session(UNLOCKED) as session:
        assert "Stop the server?" in await session.keys("9", "s")
        await session.keys("n", "b", "n")
        assert session.server.changes() == []
        await session.keys("s", "y")
        assert session.server.changes() == [controls.ShutDown()]


async def test_a_log_scrolled_back_does_not_move(autojump_clock: object) -> None:
    async with dialogue_session() as session:
        session.server.log = tuple(f"line {n}" for n in range(60))
        await session.keys("8", "up", "up", "up")
        before = (await session.text()).splitlines()[1:21]
        session.server.log += ("line 60", "line 61")
        session.board.publish(e.SessionOpened("imaps", "192.168.1.30"))
        await session.text()
        await trio.sleep(FETCH_S * 2)
        assert (await session.text()).splitlines()[1:21] == before
        assert "line 61" in await session.keys("end")


async def test_typing_is_bounded() -> None:
    async with dialogue_session(UNLOCKED) as session:
        await session.keys("4", "a")
        for _ in range(1000):
            session.dialogue.press("x")
        assert session.dialogue.typing and len(session.dialogue.typing.text) == TYPED
        await session.text()
        assert session.dialogue.press("ctrl-u") is None and session.dialogue.typing.text == ""


def test_noise_is_no_key(autojump_clock: object) -> None:
    async def body() -> None:
        async with dialogue_session(UNLOCKED) as session:
            await session.keys("2", "c")
            session.dialogue.press(NOISE)
            assert session.dialogue.question

    trio.run(body)


NAMED = ["up", "down", "left", "right", "enter", "esc", "backspace", "tab", "home", "end", "page up", "page down"]
NAMED += ["ctrl-l", "ctrl-c", NOISE]
KEYS = st.one_of(st.sampled_from(NAMED), st.characters(), st.sampled_from("123456789?achfhnprswbytq"))


@settings(max_examples=60, deadline=None)
@given(st.lists(KEYS, max_size=120), st.booleans())
def test_random_keys_never_raise_and_change_nothing_without_the_password(keys: list[str], read_all: bool) -> None:
    async def body() -> None:
        async with dialogue_session() as session:
            for key in keys:
                session.dialogue.press(key)
                if read_all:
                    await wait_all_tasks_blocked()
                    session.dialogue.seen(session.dialogue.question)
                assert len(Vt100().render(session.dialogue.picture())) <= FULL_OCTETS
            await wait_all_tasks_blocked()
            assert [one for one in session.server.changes() if not isinstance(one, controls.ExportCertificate)] == []

    trio.run(body)


def test_checking_the_password_may_be_slow(autojump_clock: object) -> None:
    class Slow(AdminOf):
        async def check(self, password: str) -> SignInStep | AdminGrant | str:
            await trio.sleep(5)
            return GrantOf(self)

    async def body() -> None:
        async with dialogue_session(AccessGuard(Slow())) as session:
            assert "One moment" in await session.keys("2", "r", "x", "enter")
            await trio.sleep(6)
            assert session.server.changes() == [controls.RetryMessage("40")]

    trio.run(body, clock=trio.testing.MockClock(autojump_threshold=0))
