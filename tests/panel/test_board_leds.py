"""The board's own LEDs, in a simulated /sys/class/leds: taken over, driven, given back."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from appliance.panel.board_leds import BoardLed, default_leds, trigger_of
from appliance.panel.led_config import LedConfig, open_leds, parse_leds
from appliance.panel.led_display import LedDisplay, LedOptions
from appliance.panel.rules import ALL, shown_by
from tests.support.clock import HandClock

from .pictures import Pictures, picture

WHITE = (1.0, 1.0, 1.0)


def made(root: Path, name: str = "ACT", trigger: str = "none usb-gadget [mmc0] timer default-on", most: str = "255") -> Path:
    place = root / name
    place.mkdir(parents=True)
    for file, words in (("trigger", trigger), ("brightness", "7"), ("max_brightness", most)):
        (place / file).write_text(words + "\n")
    return place


def facts(place: Path) -> tuple[str, str]:
    return (place / "trigger").read_text().strip(), (place / "brightness").read_text().strip()


def test_taken_at_the_first_level_and_given_back(tmp_path: Path) -> None:
    place = made(tmp_path)
    led = BoardLed("ACT", tmp_path)
    assert facts(place)[0].startswith("none usb-gadget [mmc0]")
    led.set(0.3, WHITE)
    assert facts(place) == ("none", "255")
    led.set(0.0, WHITE)
    assert facts(place) == ("none", "0")
    led.close()
    assert facts(place)[0] == "mmc0"
    led.close()


@pytest.mark.parametrize(("asked", "there"), [("led0", "ACT"), ("ACT", "led0"), ("led1", "PWR"), ("PWR", "led1")])
def test_a_led_is_found_under_the_other_name_of_older_and_newer_kernels(tmp_path: Path, asked: str, there: str) -> None:
    place = made(tmp_path, there)
    made(tmp_path, "unrelated")
    (led,) = open_leds(parse_leds([f"board:{asked}"], tmp_path), pytest.fail, root=tmp_path)
    led.led.set(1.0, WHITE)
    assert facts(place) == ("none", "255")


def test_its_own_name_counts_first_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    own, other = made(tmp_path, "led0"), made(tmp_path, "ACT")
    BoardLed("led0", tmp_path).set(1.0, WHITE)
    assert facts(own)[0] == "none" and facts(other)[0] != "none"
    with pytest.raises(OSError, match="led9"):
        BoardLed("led9", tmp_path)


def test_two_names_of_one_led_are_one_led() -> None:
    with pytest.raises(ValueError, match="same pin"):
        parse_leds(["board:led0 mail", "board:ACT trouble"])


def test_never_set_nothing_written(tmp_path: Path) -> None:
    place = made(tmp_path)
    before = facts(place)
    BoardLed("ACT", tmp_path).close()
    assert facts(place) == before


def test_without_a_trigger_the_brightness_comes_back(tmp_path: Path) -> None:
    place = made(tmp_path, "PWR", "[none] mmc0", "1")
    led = BoardLed("PWR", tmp_path)
    led.set(1.0, WHITE)
    assert facts(place) == ("none", "1")
    led.close()
    assert facts(place)[1] == "7"


@pytest.mark.parametrize(("line", "word"), [("none [mmc0] timer", "mmc0"), ("[none]", "none"), ("none timer", ""), ("", "")])
def test_the_trigger_in_brackets(line: str, word: str) -> None:
    assert trigger_of(line) == word


def test_the_default_led_of_a_board(tmp_path: Path) -> None:
    assert default_leds(tmp_path) == ()
    made(tmp_path, "input3::capslock")
    assert default_leds(tmp_path) == () == parse_leds((), tmp_path)
    made(tmp_path, "PWR")
    assert default_leds(tmp_path) == ("PWR",)
    (only,) = parse_leds((), tmp_path)
    assert only.shows == ALL and not only.borrowed
    made(tmp_path, "led0")
    assert default_leds(tmp_path) == ("led0", "PWR")
    first, power = parse_leds((), tmp_path)
    assert first == LedConfig("board", ("led0",)) and power == LedConfig("board", ("PWR",), shown_by("trouble"), borrowed=True)


async def test_the_power_led_is_the_kernel_s_until_something_needs_the_user(tmp_path: Path, autojump_clock: MockClock) -> None:
    act, power = made(tmp_path), made(tmp_path, "PWR", "none mmc0 [default-on]", "1")
    as_it_was, said = facts(power), list[str]()
    pictures = Pictures(picture("ready"))
    display = LedDisplay(
        pictures,  # type: ignore[arg-type]
        lambda: open_leds(parse_leds((), tmp_path), said.append, root=tmp_path),
        LedOptions(),
        clock=HandClock(),
        log=said.append,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(display.run)
        await trio.sleep(20)
        assert facts(act)[0] == "none" and facts(power) == as_it_was
        pictures.put(picture("storage"))
        seen = set()
        for _ in range(100):
            await trio.sleep(0.1)
            seen.add(facts(power))
        assert {("none", "1"), ("none", "0")} <= seen
        pictures.put(picture("ready"))
        await trio.sleep(1)
        assert facts(power)[0] == "default-on"
        pictures.put(picture("storage"))
        await trio.sleep(5)
        assert facts(power)[0] == "none"
        nursery.cancel_scope.cancel()
    assert said == []


@pytest.mark.parametrize("how", ["cancelled", "crashed"])
async def test_given_back_however_the_task_ends(how: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    place = made(tmp_path)
    said: list[str] = []
    display = LedDisplay(
        Pictures(picture("starting")),  # type: ignore[arg-type]
        lambda: open_leds(parse_leds((), tmp_path), said.append, root=tmp_path),
        LedOptions(),
        clock=HandClock(),
        log=said.append,
    )
    with pytest.raises(ExceptionGroup) if how == "crashed" else trio.CancelScope():
        async with trio.open_nursery() as nursery:
            await nursery.start(display.run)
            assert facts(place) == ("none", "255")
            await trio.sleep(1.5)
            assert facts(place) == ("none", "0")
            if how == "crashed":
                _ = 1 / 0
            nursery.cancel_scope.cancel()
    assert facts(place)[0] == "mmc0"
    assert said == []


async def test_a_led_that_vanishes_is_logged_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    place, said = made(tmp_path), []
    connected = open_leds(parse_leds(("board:ACT",), tmp_path), said.append, root=tmp_path)
    display = LedDisplay(Pictures(picture("starting")), lambda: connected, LedOptions(), clock=HandClock(), log=said.append)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(display.run)
        for file in list(place.iterdir()):
            file.unlink()
        place.rmdir()
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert len(said) == 1
    assert said[0].startswith("The LED board:ACT failed and is left out: [Errno 2]")


def test_a_missing_led_is_one_log_line(tmp_path: Path) -> None:
    said: list[str] = []
    assert open_leds(parse_leds(("board:NONE",), tmp_path), said.append, root=tmp_path) == []
    assert said[0].startswith("The LED board:NONE cannot be used and is left out: [Errno 2]")
