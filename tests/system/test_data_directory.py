"""One lock decides who is the house; it is never stale."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.mail.errors import SetupError
from appliance.system.data_directory import DataDirectory, InUse


def test_made_private_and_locked_once(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with DataDirectory.open(place):
        assert place.stat().st_mode & 0o777 == 0o700
        with pytest.raises(InUse, match="Another Pillarbox"):
            DataDirectory.open(place)
    DataDirectory.open(place).close()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom appliance.system.data_directory import DataDirectory\n"
        "held = DataDirectory.open(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with pytest.raises(InUse):
        DataDirectory.open(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    start = time.monotonic()
    DataDirectory.open(tmp_path).close()
    assert time.monotonic() - start < 1


def test_a_file_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(SetupError, match="cannot be used"):
        DataDirectory.open(tmp_path / "x")
