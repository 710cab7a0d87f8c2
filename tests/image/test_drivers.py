"""What a board's device tree asks for is in the image, or is said to be unwanted."""

import subprocess
from pathlib import Path

import pytest

from image.build import drivers
from tests.support.needs import program

TREE = """/dts-v1/;
/ {
    compatible = "maker,board", "maker,chip";
    supply: regulator { compatible = "regulator-gpio"; status = "okay"; };
    card@7e300000 { compatible = "maker,new-card", "maker,card"; reg = <0x7e300000>; vmmc-supply = <&supply>; };
    bus { status = "disabled"; camera { compatible = "maker,camera"; }; };
    sound { compatible = "maker,sound"; status = "disabled"; };
    radio { status = "ok"; compatible = "maker,radio"; };
};
"""
ALIASES = """# Aliases extracted from modules themselves.
alias of:N*T*Cregulator-gpioC* gpio_regulator
alias of:N*T*Cregulator-gpio gpio_regulator
alias of:N*T*Cmaker,card card_host
alias of:N*T*Cmaker,cardC* card_host
alias of:N*T*Cmaker,camera camera
alias platform:maker,radio other
alias of:N*T*Cmaker,radioC* radio
"""
REGULATOR, CARD, CAMERA, RADIO = (
    f"kernel/drivers/{name}.ko.xz" for name in ("regulator/gpio-regulator", "mmc/host/card-host", "media/camera", "radio/radio")
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place: Path = tmp_path_factory.mktemp("tree") / "board.dtb"
    command = [program("dtc", "device-tree-compiler"), "-q", "-@", "-I", "dts", "-O", "dtb", "-o", place, "-"]
    subprocess.run(command, input=TREE.encode(), check=True)
    return place.read_bytes()


def test_devices_that_are_switched_off_ask_for_nothing(tree: bytes) -> None:
    assert drivers.compatibles(tree) == {"maker,board", "maker,chip", "regulator-gpio", "maker,new-card", "maker,card", "maker,radio"}


def test_drivers_are_found_by_their_aliases(tree: bytes) -> None:
    assert drivers.drivers_of(tree, ALIASES, [REGULATOR, CARD, CAMERA, RADIO]) == {REGULATOR, CARD, RADIO}


def test_what_is_left_out_is_named(tree: bytes) -> None:
    asked = {"board.dtb": drivers.drivers_of(tree, ALIASES, [REGULATOR, CARD, CAMERA, RADIO])}
    assert drivers.missing(asked, {REGULATOR, CARD}, {REGULATOR, CARD}, {RADIO}) == []
    assert drivers.missing(asked, {REGULATOR, CARD}, {CARD}, set()) == [
        "board.dtb asks for drivers/radio/radio.ko",
        "board.dtb asks for drivers/regulator/gpio-regulator.ko, which others may wait for, in the initrd",
    ]


def test_something_else_is_no_tree() -> None:
    with pytest.raises(ValueError, match="no device tree"):
        drivers.compatibles(bytes(64))
