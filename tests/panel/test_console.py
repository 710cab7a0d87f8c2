"""A terminal over a stream: first screen, few octets for a change, the newest picture for a slow reader, noise, reconnecting."""

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from appliance.control import requests as controls
from appliance.languages.catalogues import ENGLISH
from appliance.panel.console import REOPEN_S, ConsoleSession, once, run, terminal_options
from appliance.panel.ports import AccessGuard, ConsoleOptions
from appliance.panel.terminal import FULL_OCTETS
from appliance.status import events as e
from appliance.status.board import Board
from tests.support.clock import HandClock
from tests.support.console import UNLOCKED, ServerAnswers, busy_board, locked
from tests.support.figures import report_figure
from tests.support.vt100 import Vt100Screen

ORDINARY_OCTETS = 400
OCTETS_PER_S_AT_9600 = 960


class Far:
    """A terminal at the other end of the stream."""

    def __init__(self, board: Board, options: ConsoleOptions, access: AccessGuard) -> None:
        self.board, self.server, self.screen = board, ServerAnswers(), Vt100Screen()
        self.near, self.wire = memory_stream_pair()
        self.session = ConsoleSession(self.near, board, self.server, options, access)

    async def reads(self) -> int:
        """Read what was sent; how many octets."""
        await wait_all_tasks_blocked()
        before = self.screen.seen
        with trio.move_on_after(1.0):  # virtual: longer than the console's own pauses
            while True:
                self.screen.feed(await self.wire.receive_some())
        return self.screen.seen - before

    async def types(self, octets: bytes) -> str:
        await self.wire.send_all(octets)
        await self.reads()
        return self.screen.text()


@asynccontextmanager
async def console_session(options: ConsoleOptions | None = None, access: AccessGuard | None = None) -> AsyncIterator[Far]:
    far = Far(busy_board(), options or ConsoleOptions(), access or locked())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(far.session.run)
        yield far
        nursery.cancel_scope.cancel()


async def test_the_first_screen_is_drawn_at_once_and_changes_are_small(autojump_clock: MockClock) -> None:
    async with console_session() as far:
        first = await far.reads()
        assert "mail.home.example  Overview" in far.screen.text() and "Queue     3 waiting, 1 held" in far.screen.text()
        assert first <= FULL_OCTETS
        assert first / OCTETS_PER_S_AT_9600 <= 3
        report_figure("console, first screen", f"{first} octets, {first / OCTETS_PER_S_AT_9600:.1f} s at 9600 baud")
        worst = 0
        for event in ORDINARY:
            far.board.publish(event)
            sent = await far.reads()
            assert sent <= ORDINARY_OCTETS, (event, sent)
            worst = max(worst, sent)
        report_figure("console, an ordinary change on the first screen", f"at most {worst} octets of {ORDINARY_OCTETS}")


ORDINARY = (
    e.SessionOpened("imaps", "192.168.1.30"),
    e.SessionClosed("imaps", "192.168.1.30", "ada@home.example", 1000, 20000, 12.0),
    e.SessionOpened("smtp", "192.0.2.99"),
    e.LoginSucceeded("imaps", "192.168.1.30", "ada@home.example", "PLAIN"),
    e.LoginFailed("imaps", "192.168.1.30", "ada@home.example", "PLAIN"),
    e.MessageAccepted("smtp", "192.0.2.99", "somebody.with.a.long.name@another-far-away-place.example", 3, 4_567_890, 0.2, "K3G0"),
    e.MessageAccepted("smtp", "192.0.2.99", "", 1, 999, 0.2, "K3G1"),
    e.MessageRefused("smtp", "203.0.113.4", "y@spam.example", "ada@home.example", "550 5.7.1 no"),
    e.QueueState(4, 1, 1, 1, 3, 7300.0, 0.0),
    e.AttemptBegun("M7A9", "far.example"),
    e.MessageSent("M7A9", "far.example", "mx1.mail.protection.far.example", 1, 2000, "TLSv1.3", 1.0),
    e.MessageDelayed("M7B0", "slow.example", 1, "mx.slow.example said: 450 4.2.0 greylisted, please come back in five minutes", 900.0),
    e.QueueState(3, 1, 0, 1, 2, 7200.0, 900.0),
    e.StorageState(12_000_000_000, 31_000_000_000, 2_140_000_000),
    e.OutboundState("open", "direct", "Port 25 is open outwards; messages leave by themselves."),
)


@pytest.mark.parametrize("number", range(1, 10))
async def test_an_ordinary_change_is_small_on_every_screen(number: int, autojump_clock: MockClock) -> None:
    async with console_session() as far:
        await far.reads()
        opened = await far.wire.send_all(b"%d" % number) or await far.reads()
        assert opened <= FULL_OCTETS
        worst = 0
        for event in ORDINARY:
            far.board.publish(event)
            sent = await far.reads()
            assert sent <= ORDINARY_OCTETS, (event, sent)
            worst = max(worst, sent)
        report_figure(f"console, screen {number}", f"opened by {opened} octets, an ordinary change at most {worst}")


async def test_a_slow_terminal_gets_the_newest_picture(autojump_clock: MockClock) -> None:
    """Nothing queues: while it does not read nothing is drawn, and then what it gets is what is now."""
    async with console_session() as far:
        await far.reads()
        assert isinstance(far.near, trio.StapledStream)
        stuck = trio.Event()
        pump = far.near.send_stream.send_all_hook  # type: ignore[attr-defined]

        async def hook() -> None:
            await stuck.wait()
            await pump()

        far.near.send_stream.send_all_hook = hook  # type: ignore[attr-defined]
        pictures = far.session.pictures
        for n in range(10_000):
            far.board.publish(e.MessageAccepted("smtp", "192.0.2.1", f"s{n}@far.example", 1, 1000, 0.01, f"N{n}"))
            if n % 1000 == 0:
                await trio.sleep(1)
        assert far.session.pictures == pictures
        stuck.set()
        octets = await far.reads()
        assert "s9999@far.example" in far.screen.text() and "s9998@far.example" in far.screen.text()
        assert far.session.pictures <= pictures + 3
        assert octets <= 3 * FULL_OCTETS


async def test_publishing_costs_the_same_with_a_terminal_that_never_reads() -> None:
    """Real time, both in one test: what a publisher pays."""

    def publish(board: Board, count: int) -> float:
        event = e.MessageAccepted("smtp", "192.0.2.1", "s@far.example", 1, 1000, 0.01, "N")
        start = time.perf_counter()
        for _ in range(count):
            board.publish(event)
        return (time.perf_counter() - start) / count

    alone, attended_s = [], []
    async with console_session() as far:
        bare = busy_board()
        for _ in range(15):
            alone.append(publish(bare, 10_000))
            attended_s.append(publish(far.board, 10_000))
            await trio.lowlevel.checkpoint()
    report_figure("publish with a console that never reads", f"{min(attended_s) * 1e6:.2f} us an event, {min(alone) * 1e6:.2f} without")
    assert min(attended_s) < 20e-6  # ten times the promise: this machine is shared
    assert min(attended_s) < 2 * min(alone) + 1e-6


async def test_split_sequences_and_the_esc_key(autojump_clock: MockClock) -> None:
    async with console_session() as far:
        await far.reads()
        await far.types(b"2")
        for octet in b"\x1b[B":
            await far.wire.send_all(bytes((octet,)))
            await trio.sleep(0.1)
        assert "> 41 " in await far.types(b"")
        assert "Overview" in await far.types(b"\x1b")


async def test_any_key_after_silence_and_noise_bring_the_whole_screen(autojump_clock: MockClock) -> None:
    async with console_session() as far:
        await far.reads()
        far.screen = Vt100Screen()  # another terminal was plugged in
        assert "Queue     3 waiting" in await far.types(b"\r")
        far.screen = Vt100Screen()
        await far.types(b"\r")
        assert "Queue" not in far.screen.text()  # somebody typed lately: only changes
        await trio.sleep(400)
        far.screen = Vt100Screen()
        assert "Queue     3 waiting" in await far.types(b"x")
        far.screen = Vt100Screen()
        assert "Queue     3 waiting" in await far.types(b"\x00\xff\xfe")
        await trio.sleep(400)
        far.screen = Vt100Screen()
        await trio.sleep(61)
        await far.reads()
        assert "Queue     3 waiting" in far.screen.text()  # nobody was heard: within a minute without a key


class WithTransport(trio.abc.Stream):
    """A port with DCD."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner, self.there = inner, True

    def dcd(self) -> bool:
        return self.there

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_dcd_redraws_the_screen_and_locks_it(autojump_clock: MockClock) -> None:
    near, wire = memory_stream_pair()
    port = WithTransport(near)
    screen = Vt100Screen()
    async with trio.open_nursery() as nursery:
        server = ServerAnswers()
        attendance = ConsoleSession(port, busy_board(), server, ConsoleOptions(), locked())
        nursery.start_soon(attendance.run)
        for octets in (b"2", b"r", b"open sesame\r"):
            await wire.send_all(octets)
            await trio.sleep(1)
        assert attendance.dialogue.unlocked and server.changes() == [controls.RetryMessage("40")]
        port.there = False
        await trio.sleep(3)
        assert not attendance.dialogue.unlocked
        with trio.move_on_after(1):
            while True:
                await wire.receive_some()
        port.there = True
        with trio.move_on_after(3):
            while True:
                screen.feed(await wire.receive_some())
        assert "Overview" in screen.text() and "read only" in screen.text()
        nursery.cancel_scope.cancel()


async def test_plain_lines_for_a_terminal_without_commands(autojump_clock: MockClock) -> None:
    async with console_session(ConsoleOptions(plain=True), UNLOCKED) as far:

        async def heard() -> str:
            got = b""
            with trio.move_on_after(2):
                while True:
                    got += await far.wire.receive_some()
            return got.decode("ascii")

        first = await heard()
        assert "\x1b" not in first and "Queue     3 waiting, 1 held" in first and first.endswith("\r\n")
        far.board.publish(e.MessageAccepted("smtp", "192.0.2.1", "new@far.example", 1, 1000, 0.01, "N"))
        news = await heard()
        assert "new@far.example" in news and "friend6" not in news and "Clock" not in news
        await far.wire.send_all(b"2")
        assert "bob0@slow.example" in await heard()
        await far.wire.send_all(b"c")
        assert (await heard()).endswith("Cancel M7A0 to bob0@slow.example? It will not be sent. (y/n)\r\n")
        await far.wire.send_all(b"y")
        assert "is cancelled" in await heard()
        assert far.server.changes() == [controls.CancelMessage("40")]
        await far.wire.send_all(b"t")
        assert "\x1b[2J" in await heard()


async def test_the_port_is_opened_again_and_again(autojump_clock: MockClock) -> None:
    wires: list[trio.StapledStream] = []  # type: ignore[type-arg]
    tried: list[float] = []
    said: list[str] = []
    absent = 5

    async def opener() -> trio.abc.Stream:
        tried.append(trio.current_time())
        if len(wires) > 0 and len(tried) <= 1 + absent:
            raise OSError("no such device")
        near, wire = memory_stream_pair()
        wires.append(wire)
        return near

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run(opener, busy_board(), ServerAnswers(), ConsoleOptions(), UNLOCKED, log=said.append))
        await trio.sleep(20)
        await wires[0].send_all(b"2")
        await wires[0].aclose()  # unplugged
        await trio.sleep(60)
        assert len(wires) == 2
        pauses = [round(b - a, 1) for a, b in pairwise(tried[1:])]
        assert pauses == [1.0, 2.0, 4.0, 8.0, REOPEN_S[1]]
        screen = Vt100Screen()
        with trio.move_on_after(1):
            while True:
                screen.feed(await wires[1].receive_some())
        assert "Overview" in screen.text()
        assert [line for line in said if "is back" in line] and len(said) <= 4
        nursery.cancel_scope.cancel()


async def test_wrong_passwords_are_remembered_across_connections(autojump_clock: MockClock) -> None:
    access = locked()
    for wait in (False, True):
        near, wire = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ConsoleSession(near, busy_board(), ServerAnswers(), ConsoleOptions(), access).run)
            screen = Vt100Screen()
            for octets in (b"2", b"r") if wait else (b"2", b"r", b"wrong\r"):
                await wire.send_all(octets)
                with trio.move_on_after(0.2):
                    while True:
                        screen.feed(await wire.receive_some())
            assert ("Wait" if wait else "password is wrong") in screen.text()
            nursery.cancel_scope.cancel()


async def test_a_flood_of_input_is_read_at_a_limited_rate() -> None:
    """Real time: a terminal that never stops takes no more than its share, and the server's other tasks go on."""
    async with console_session() as far:
        rng = random.Random(4)
        turns = 0
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:

                async def shout() -> None:
                    while True:
                        await far.wire.send_all(rng.randbytes(512))
                        await trio.sleep(0.002)  # 256 kB a second

                async def read() -> None:
                    while True:
                        await far.wire.receive_some()

                nursery.start_soon(shout)
                nursery.start_soon(read)
                start, cpu = time.monotonic(), time.process_time()
                while turns < 250:
                    await trio.sleep(0.005)
                    turns += 1
                took = (time.process_time() - cpu) / (time.monotonic() - start)
                nursery.cancel_scope.cancel()
        report_figure("console, CPU under line noise without end", f"{took:.0%} of a core, the noise's own making among it")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"2c", b"y", b"4a", b"\r", b"\x1b[", b"A", b"9s"])), max_size=40))
def test_line_noise_never_ends_it_and_changes_nothing(chunks: list[bytes]) -> None:
    async def body() -> None:
        async with console_session() as far:
            for chunk in chunks:
                if chunk:
                    await far.wire.send_all(chunk)
            await far.reads()
            await far.types(b"\x1b\x1b")
            await far.types(b"\x1b")
            assert "Overview" in await far.types(b"q1")
            assert [one for one in far.server.changes() if not isinstance(one, controls.ExportCertificate)] == []

    trio.run(body, clock=MockClock(autojump_threshold=0))


def test_a_terminal_is_known_by_its_environment() -> None:
    assert terminal_options(ConsoleOptions(), {"TERM": "xterm-256color", "LANG": "de_DE.UTF-8"}).utf8
    assert not terminal_options(ConsoleOptions(), {"TERM": "vt100", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}).utf8
    assert terminal_options(ConsoleOptions(), {"TERM": "dumb"}).plain and terminal_options(ConsoleOptions(), {}).plain
    assert (
        not terminal_options(ConsoleOptions(), {"TERM": "linux"}).plain and terminal_options(ConsoleOptions(), {"TERM": "linux"}).can_quit
    )
    for size, plain in (((80, 24), False), ((132, 50), False), ((0, 0), False), ((79, 24), True), ((80, 23), True)):
        assert terminal_options(ConsoleOptions(), {"TERM": "linux"}, size).plain is plain


def test_one_picture_for_a_pipe() -> None:
    text = once(busy_board().snapshot(), ENGLISH)
    assert text.isascii() and "\x1b" not in text and "Queue     3 waiting" in text and len(text.splitlines()) == 21


async def test_the_clock_ticks_without_events(autojump_clock: MockClock) -> None:
    clock = HandClock()
    far = Far(busy_board(clock), ConsoleOptions(can_quit=True), locked())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(far.session.run)
        await far.reads()
        clock.forward(60)
        await trio.sleep(61)
        sent = await far.reads()
        assert "00:11 UTC" in far.screen.text() and 0 < sent < 100
        await far.wire.send_all(b"q")
        await trio.sleep(1)
        assert far.session.dialogue.left
        nursery.cancel_scope.cancel()
