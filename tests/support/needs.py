"""Programs and places a test needs: skip with a sentence, or fail where the gate demands all of them."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

from tests.support.house import COMMAND, environment


def missing(what: str, remedy: str = "") -> NoReturn:
    sentence = f"{what} is missing here{': ' + remedy if remedy else ''}"
    if os.environ.get("PILLARBOX_REQUIRE_ALL"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str, package: str = "") -> str:
    """The path of a program, or the test ends here."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or missing(name, f"apt install {package or name}")


def usable_by(uid: int) -> None:
    """This checkout and its Python may be used by another user, or the test ends here; for tests that run as root."""
    words = [*COMMAND, "--version"]
    try:
        tried = subprocess.run(words, user=uid, group=uid, extra_groups=[], env=environment(), cwd="/", capture_output=True, check=False)
        usable = tried.returncode == 0
    except PermissionError:
        usable = False
    if not usable:
        pytest.skip("other users may not use this checkout: put it below /opt or /srv")


def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
