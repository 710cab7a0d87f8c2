"""The LEDs on gpiozero's mock pins and the virtual clock: what is seen on the pins is what the server is."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.panel.led_config import open_leds, parse_led
from appliance.panel.led_display import LOOK_AGAIN_S, LedDisplay, LedOptions, is_night, parse_night
from appliance.panel.leds import ConnectedLed
from appliance.panel.patterns import PATTERNS, Colour
from appliance.panel.rules import ALL
from appliance.status.board import Board
from appliance.status.events import MessageAccepted, ServerState
from tests.support.clock import HandClock

from .pictures import Pictures, calm, picture
from .pins import read, runs_of, virtual_pins

MESSAGE = MessageAccepted("smtp", "192.0.2.1", "a@other.example", 1, 900, 0.1, "l1")
NIGHT = LedOptions(night=(0, 360))
"""HandClock begins at midnight."""
STEADY = [pattern.meaning for pattern in PATTERNS if pattern.meaning != "arrived"]


class RecordedLed:
    """An LED that remembers; fails at the level numbered `fails`."""

    def __init__(self, *, dims: bool = True, fails: int = -1) -> None:
        self.dims = dims
        self.levels: list[float] = []
        self.colours: list[Colour] = []
        self.closed = 0
        self._fails = fails

    def set(self, level: float, colour: Colour) -> None:
        if len(self.levels) == self._fails:
            raise OSError("no such pin.")
        self.levels.append(level)
        self.colours.append(colour)

    def close(self) -> None:
        self.closed += 1


def display_of(board: Any, leds: list[ConnectedLed], options: LedOptions | None = None, said: list[str] | None = None) -> LedDisplay:
    lines = said if said is not None else []
    return LedDisplay(board, lambda: leds, options or LedOptions(), clock=HandClock(), log=lines.append)


async def play(nursery: trio.Nursery, *args: Any, **named: Any) -> LedDisplay:
    made = display_of(*args, **named)
    await nursery.start(made.run)
    return made


@pytest.mark.parametrize("options", [LedOptions(), NIGHT], ids=["day", "night"])
@pytest.mark.parametrize("kind", ["led", "pwm", "rgb"])
@pytest.mark.parametrize("meaning", STEADY)
async def test_the_pins_show_the_meaning(
    meaning: str, kind: str, options: LedOptions, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = virtual_pins(monkeypatch, pwm=kind != "led")
    said: list[str] = []
    connected = open_leds([parse_led("rgb:5,6,13" if kind == "rgb" else f"{kind}:5")], said.append, factory=factory)
    pattern = next(p for p in PATTERNS if p.meaning == meaning)
    async with trio.open_nursery() as nursery:
        await play(nursery, Pictures(picture(meaning)), connected, options, said)
        await trio.sleep(0.77 + 4 * pattern.period_s)
        nursery.cancel_scope.cancel()
    assert said == []
    brightest = max((5, 6, 13), key=lambda n: max(s.state for s in factory.pin(n).states)) if kind == "rgb" else 5
    pin = factory.pin(brightest)
    most = max(float(state.state) for state in pin.states)
    if kind == "led" and options.night and pattern.quiet:
        assert most == 0
        return
    assert most > 0
    assert most < 0.06 if options.night and kind != "led" else most > 0.05
    assert read(runs_of(pin, most / 2), tolerance=0.02) == [meaning]


@pytest.mark.parametrize("kind", ["led", "pwm"])
async def test_mail_just_arrived_is_a_moment(kind: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = virtual_pins(monkeypatch, pwm=kind == "pwm")
    connected = open_leds([parse_led(f"{kind}:5")], print, factory=factory)
    board = Board(HandClock())
    board.publish(ServerState("ready"))
    async with trio.open_nursery() as nursery:
        playing = await play(nursery, board, connected)
        await trio.sleep(3.3)
        begun = len(factory.pin(5).states)
        board.publish(MESSAGE)
        await trio.sleep(1e-3)
        assert playing.shown() == (("The LED " + kind + ":5", "arrived"),)
        await trio.sleep(4.3)
        assert playing.shown()[0][1] == "ready"
        pin = factory.pin(5)
        pin.states = pin.states[begun:]
        await trio.sleep(1)
        assert read(runs_of(pin, 0.5), tolerance=0.02) == ["arrived"]
        nursery.cancel_scope.cancel()


async def test_a_thousand_messages_are_a_few_snapshots(autojump_clock: MockClock) -> None:
    board = Pictures(calm())
    async with trio.open_nursery() as nursery:
        await play(nursery, board, [ConnectedLed("led", RecordedLed(), ALL)])
        for _ in range(1000):
            board.put(picture("arrived"))
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert board.looks < 10 * 4 * 2 + 20


async def test_without_a_change_it_sleeps(autojump_clock: MockClock) -> None:
    """A dark LED wakes the task only every twenty seconds; the ready one twice in five seconds."""
    board, led = Pictures(calm()), RecordedLed()
    async with trio.open_nursery() as nursery:
        await play(nursery, board, [ConnectedLed("led", led, frozenset({"storage"}))])
        await trio.sleep(10 * LOOK_AGAIN_S)
        nursery.cancel_scope.cancel()
    assert led.levels == [0.0]
    assert board.looks <= 12


async def test_leds_for_parts_of_the_server(autojump_clock: MockClock) -> None:
    both = [
        ConnectedLed("t", RecordedLed(), frozenset({"storage", "stuck"})),
        ConnectedLed("m", RecordedLed(), frozenset({"waiting", "ready"})),
    ]
    board = Pictures(calm())
    async with trio.open_nursery() as nursery:
        playing = await play(nursery, board, both)
        assert playing.shown() == (("t", ""), ("m", "ready"))
        board.put(picture("storage"))
        await trio.sleep(1)
        assert playing.shown() == (("t", "storage"), ("m", "ready"))
        nursery.cancel_scope.cancel()


async def test_a_failing_led_is_left_out_and_the_others_go_on(autojump_clock: MockClock) -> None:
    bad, good, said = RecordedLed(fails=3), RecordedLed(), []
    async with trio.open_nursery() as nursery:
        await play(
            nursery, Pictures(picture("recovering")), [ConnectedLed("The LED led:4", bad, ALL), ConnectedLed("g", good, ALL)], said=said
        )
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert said == ["The LED led:4 failed and is left out: no such pin."]
    assert (len(bad.levels), bad.closed, good.closed) == (3, 1, 1)
    assert len(good.levels) > 40


async def test_without_leds_it_sleeps_forever(autojump_clock: MockClock) -> None:
    board = Pictures(calm())
    async with trio.open_nursery() as nursery:
        await play(nursery, board, [])
        await trio.sleep(1000)
        nursery.cancel_scope.cancel()
    assert board.looks == 0


async def test_leds_that_cannot_be_closed_are_logged(autojump_clock: MockClock) -> None:
    class Stuck(RecordedLed):
        def close(self) -> None:
            raise RuntimeError

    said: list[str] = []
    async with trio.open_nursery() as nursery:
        await play(nursery, Pictures(calm()), [ConnectedLed("s", Stuck(), ALL)], said=said)
        nursery.cancel_scope.cancel()
    assert said == ["s could not be given back: RuntimeError."]


async def test_the_night_dims_and_the_button_shows_it_bright(autojump_clock: MockClock) -> None:
    dimming, plain = RecordedLed(), RecordedLed(dims=False)
    async with trio.open_nursery() as nursery:
        playing = await play(nursery, Pictures(calm()), [ConnectedLed("d", dimming, ALL), ConnectedLed("p", plain, ALL)], NIGHT)
        await trio.sleep(11)
        assert max(dimming.levels) == 0.25
        assert set(plain.levels) == {0.0}
        playing.show()
        await trio.sleep(9)
        assert (max(dimming.levels), max(plain.levels)) == (1.0, 1.0)
        await trio.sleep(2)
        dimming.levels.clear(), plain.levels.clear()
        await trio.sleep(11)
        assert max(dimming.levels) == 0.25
        assert not any(plain.levels)
        nursery.cancel_scope.cancel()


async def test_the_night_begins_while_nothing_happens(autojump_clock: MockClock) -> None:
    clock, led = HandClock(), RecordedLed()
    clock.forward(-1)
    made = LedDisplay(Pictures(calm()), lambda: [ConnectedLed("g", led, ALL)], NIGHT, clock=clock, log=print)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(made.run)
        await trio.sleep(6)
        assert max(led.levels) == 1.0
        clock.forward(2)
        await trio.sleep(LOOK_AGAIN_S)
        led.levels.clear()
        await trio.sleep(20)
        assert max(led.levels) == 0.25
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("words", "minutes"), [("", None), ("22:00-06:30", (1320, 390)), ("0:05 - 7:00", (5, 420)), ("06:00-06:00", None)])
def test_a_night_is_read(words: str, minutes: tuple[int, int] | None) -> None:
    assert parse_night(words) == minutes


@pytest.mark.parametrize("words", ["22", "22-6", "24:00-06:00", "22:60-06:00", "-1:00-06:00", "a-b", "22:00-", "22:00-06:00-07:00"])
def test_no_night(words: str) -> None:
    with pytest.raises(ValueError, match="is not a night"):
        parse_night(words)


@pytest.mark.parametrize(
    ("hour", "night", "is_one"),
    [(23, "22:00-06:30", True), (3, "22:00-06:30", True), (6.49, "22:00-06:30", True), (6.5, "22:00-06:30", False),
     (12, "22:00-06:30", False), (22, "22:00-06:30", True), (3, "01:00-05:00", True), (5, "01:00-05:00", False),
     (0.5, "01:00-05:00", False)],
)  # fmt: skip
def test_when_it_is_night(hour: float, night: str, is_one: bool) -> None:
    clock = HandClock(wall_s=1_796_083_200.0 + hour * 3600)
    assert is_night(clock, parse_night(night)) is is_one
    clock.is_trusted = False
    assert not is_night(clock, parse_night(night))


async def test_a_task_started_again_opens_its_leds_again(autojump_clock: MockClock) -> None:
    opened: list[RecordedLed] = []

    def open_leds() -> list[ConnectedLed]:
        opened.append(RecordedLed())
        return [ConnectedLed("g", opened[-1], ALL)]

    made = LedDisplay(Pictures(calm()), open_leds, LedOptions(), clock=HandClock(), log=print)  # type: ignore[arg-type]
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(made.run)
            nursery.cancel_scope.cancel()
    assert [led.closed for led in opened] == [1, 1]
