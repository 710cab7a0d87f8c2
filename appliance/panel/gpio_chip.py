"""Which of the kernel's GPIO chips has the pins of a Raspberry Pi's header: found by its label, because the numbers are given in
the order in which drivers come. gpiozero takes number 0, which on a Pi 5 with a kernel of kernel.org may be another chip.
"""

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Pi 5; Pi 4; Pi 3 and Zero 2 W."""
GPIO_GET_CHIPINFO_IOCTL = 0x8044B401
CHIP_INFO = struct.Struct("=32s32sI")
"""struct gpiochip_info of linux/gpio.h: name, label, number of lines."""


def header_chip(chips: Iterable[tuple[int, str]] | None = None) -> int | None:
    """The number N of /dev/gpiochipN with the header's pins; None where no chip has a label that is known.

    `chips`: (number, label) of each, by default those of this machine.
    """
    return next((number for number, label in (chips_of() if chips is None else chips) if label in HEADER_LABELS), None)


def chips_of(devices: Path = Path("/dev")) -> Iterator[tuple[int, str]]:
    """(number, label) of each GPIO chip that may be opened."""
    for place in sorted(devices.glob("gpiochip*")):
        with suppress(OSError, ValueError):
            opened = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                answer = fcntl.ioctl(opened, GPIO_GET_CHIPINFO_IOCTL, bytes(CHIP_INFO.size))
            finally:
                os.close(opened)
            yield int(place.name.removeprefix("gpiochip")), CHIP_INFO.unpack(answer)[1].rstrip(b"\0").decode("ascii", "replace")
