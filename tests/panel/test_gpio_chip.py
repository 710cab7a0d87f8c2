"""The chip with the header's pins, whatever its number. On a real kernel: `make test-gpio`, `make image-test`."""

import struct
from pathlib import Path

import pytest

from appliance.panel.gpio_chip import CHIP_INFO, GPIO_GET_CHIPINFO_IOCTL, chips_of, header_chip

PI_5 = [(0, "gpio-brcmstb@107d508500"), (1, "gpio-brcmstb@107d517c00"), (2, "pinctrl-rp1")]
PI_4 = [(0, "pinctrl-bcm2711"), (1, "raspberrypi-exp-gpio")]


@pytest.mark.parametrize(("chips", "number"), [(PI_5, 2), (PI_4, 0), ([(0, "9030000.pl061")], None), ([], None)])
def test_label_decides(chips: list[tuple[int, str]], number: int | None) -> None:
    assert header_chip(chips) == number


def test_question_is_that_of_the_kernels_header() -> None:
    """_IOR(0xB4, 1, struct gpiochip_info)."""
    assert CHIP_INFO.size == 68
    assert 2 << 30 | CHIP_INFO.size << 16 | 0xB4 << 8 | 1 == GPIO_GET_CHIPINFO_IOCTL
    assert CHIP_INFO.unpack(struct.pack("=32s32sI", b"gpiochip0", b"pinctrl-rp1", 54))[1].rstrip(b"\0") == b"pinctrl-rp1"


def test_what_is_no_chip_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").write_bytes(b"no chip")
    assert list(chips_of(tmp_path)) == []
