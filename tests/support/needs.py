"""Programs and places a test needs: skip with a sentence, or fail where the gate demands all of them."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(what: str, remedy: str = "") -> NoReturn:
    sentence = f"{what} is missing here{': ' + remedy if remedy else ''}"
    if os.environ.get("PILLARBOX_REQUIRE_ALL"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str, package: str = "") -> str:
    """The path of a program, or the test ends here."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or missing(name, f"apt install {package or name}")


def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
