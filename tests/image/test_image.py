"""The gate's part of the image: it is built, started once in QEMU, and a message goes in and out.

Only with PILLARBOX_IMAGE=1, because it takes root, the network, 3 GB and some minutes; .ci/run sets it. `python -m tests.image`
does all the rest.
"""

import os
import time
from pathlib import Path

import pytest

from image.build import cli, host
from tests.support.needs import missing, program

from .card import Card
from .machine import Machine
from .mail import SETTINGS, eventually, send, subjects_by_imap, subjects_by_pop, wait_account

if not os.environ.get("PILLARBOX_IMAGE"):
    pytest.skip("needs root, the network and minutes: PILLARBOX_IMAGE=1 says that there are", allow_module_level=True)

LARGEST_OCTETS = 150_000_000


@pytest.mark.slow
def test_an_image_is_built_starts_and_takes_mail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        host.require()
    except host.BuildError as error:
        missing(str(error))
    for name, package in (("qemu-system-aarch64", "qemu-system-arm"), ("mcopy", "mtools"), ("e2fsck", "e2fsprogs")):
        program(name, package)
    with capsys.disabled():
        output = Path(os.environ.get("PILLARBOX_IMAGE_OUTPUT") or tmp_path / "image")
        if not (output / "pillarbox.img.zst").exists():
            print("\nThe image is built:")
            assert cli.main(["--output", str(output)]) == 0
        assert (output / "pillarbox.img.zst").stat().st_size <= LARGEST_OCTETS
        card = Card(tmp_path / "card.img")
        card.flash(output / "pillarbox.img.zst")
        card.write_settings("pillarbox.toml", SETTINGS)
        started = time.monotonic()
        with Machine(card, tmp_path / "machine") as machine:
            print(f"{machine.wait_banner():6.1f} s  first greeting")
            wait_account(machine)
            send(machine, "the first message")
            eventually(lambda: subjects_by_imap(machine) == ["the first message"], "the message is not in INBOX")
            assert subjects_by_pop(machine) == ["the first message"]
            print(f"{time.monotonic() - started:6.1f} s  a message in by SMTP, out by IMAPS and POP3S")
            machine.shell("systemctl --no-block poweroff")
            machine.wait_end()
        assert card.check_data() == ""
        print(f"{time.monotonic() - started:6.1f} s  switched off in order, file system clean")
