"""LEDs and the button on GPIO pins: gpiozero behind the ports Led and ButtonPort, loaded when the first pin is opened.

gpiozero's own blinking and holding take a thread each; only its `value` and its edges are used here, patterns and hold times
are ours. What lgpio, its usual driver on a board, costs in threads of its own, measured on a simulated chip:

| state                                     | wake-ups a second | therefore                                                |
|-------------------------------------------|-------------------|----------------------------------------------------------|
| any pin open                              | 50                | nothing is opened that the settings do not name          |
| pulse width modulation, each LED          | 50 to 150 more    | on only while an LED is neither dark nor fully lit        |
| a pin with edge detection                 | 1,550 more        | the button's is polled every POLL_S instead              |

Failure: whatever gpiozero or its drivers raise comes out of the constructors; `led_config` makes a log line of it.
Known gap: after a SIGKILL pins stay as they were until the kernel gives them back.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from .gpio_chip import header_chip
from .leds import duty_of
from .patterns import Colour

PWM_HZ = 100.0
LEAST_DUTY = 0.01
"""gpiozero passes lgpio whole percents: less than one would be dark."""
POLL_S = 0.08
"""The shortest press of a finger; a third of a percent of a core, where edge detection costs lgpio three."""
CLONE_FS = 0x200
"""The thread no longer shares its working directory (unshare(2)); needs no privilege."""

Pin = int | str
"""A number of the processor (BCM), or a name such as "BOARD11" or "GPIO17"."""


def factory_or_default(factory: Any = None) -> Any:
    """The pin factory given, or that of the host. Slow: a third of a second on a small board."""
    if factory is not None:
        return factory
    # lgpio leaves a pipe in its working directory, which a service may not write, or which is on the SD card
    os.environ.setdefault("LG_WD", _scratch())
    from gpiozero import Device  # type: ignore[import-untyped]

    if Device.pin_factory is None:
        with _own_working_directory(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each driver that is not there is one warning on stderr
            Device.pin_factory = _of_header()
            Device.ensure_pin_factory()
    return Device.pin_factory


def _of_header() -> Any:
    """lgpio on the chip that has the header's pins; None where gpiozero is to choose."""
    number = None if os.environ.get("GPIOZERO_PIN_FACTORY") else header_chip()
    if number is None:
        return None
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # type: ignore[import-untyped]
    except ImportError:
        return None
    return LGPIOFactory(chip=number)


@contextmanager
def _own_working_directory() -> Iterator[None]:
    """lgpio changes the working directory to LG_WD when it is loaded: only this thread goes there, and comes back."""
    from ctypes import CDLL

    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    CDLL(None).unshare(CLONE_FS)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def _scratch() -> str:
    of_service = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if of_service:
        return of_service
    from tempfile import gettempdir

    return gettempdir()


class Switched:
    """An LED that is on or off."""

    dims = False

    def __init__(self, pin: Pin, *, inverted: bool = False, factory: Any = None) -> None:
        factory = factory_or_default(factory)
        from gpiozero import LED

        self._led = LED(pin, active_high=not inverted, pin_factory=factory)

    def set(self, level: float, colour: Colour) -> None:
        self._led.value = 1 if level > 0 else 0

    def close(self) -> None:
        self._led.close()


class Dimmed:
    """An LED of any brightness."""

    dims = True

    def __init__(self, pin: Pin, *, inverted: bool = False, factory: Any = None) -> None:
        factory = factory_or_default(factory)
        from gpiozero import PWMLED

        self._led = PWMLED(pin, active_high=not inverted, frequency=PWM_HZ, pin_factory=factory)
        self._pulsing = True

    def set(self, level: float, colour: Colour) -> None:
        pulsing = 0 < level < 1
        if pulsing != self._pulsing:
            self._led.frequency = PWM_HZ if pulsing else None
            self._pulsing = pulsing
        self._led.value = max(duty_of(level), LEAST_DUTY) if level > 0 else 0.0

    def close(self) -> None:
        self._led.close()


class Coloured:
    """An LED of three colours; `pins` are red, green, blue."""

    dims = True

    def __init__(self, pins: tuple[Pin, Pin, Pin], *, inverted: bool = False, factory: Any = None) -> None:
        with ExitStack() as opened:
            self._leds = [opened.enter_context(closing(Dimmed(pin, inverted=inverted, factory=factory))) for pin in pins]
            self._opened = opened.pop_all()

    def set(self, level: float, colour: Colour) -> None:
        for led, part in zip(self._leds, colour, strict=True):
            led.set(level * part, colour)

    def close(self) -> None:
        self._opened.close()


class PinButton:
    """A button between a pin and ground, or between a pin and 3.3 V when `pull_up` is False."""

    def __init__(self, pin: Pin, *, pull_up: bool = True, factory: Any = None) -> None:
        factory = factory_or_default(factory)
        from gpiozero import DigitalInputDevice, InputDevice

        is_lgpio = type(factory).__module__ == "gpiozero.pins.lgpio"
        self.poll_s = POLL_S if is_lgpio else 0.0
        self._input = (InputDevice if is_lgpio else DigitalInputDevice)(pin, pull_up=pull_up, pin_factory=factory)

    def pressed(self) -> bool:
        return bool(self._input.value)

    def listen(self, edge: Callable[[bool], None]) -> None:
        """`edge(pressed)` is called at each change, from a thread of gpiozero's; not used where `poll_s` is above 0."""
        self._input.when_activated = lambda: edge(True)
        self._input.when_deactivated = lambda: edge(False)

    def close(self) -> None:
        self._input.close()
