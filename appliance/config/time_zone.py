"""The setting server.time_zone: whether this machine knows the zone, and how the process takes it on."""

import os
import time
from pathlib import Path

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

ZONES = Path("/usr/share/zoneinfo")


def set_time_zone(name: str, root: Path = ZONES) -> None:
    """Local time of this whole process is that of the zone `name` from now on; "" leaves the machine's. Raises SetupError."""
    if not name:
        return
    check_time_zone(name, root)
    os.environ["TZ"] = name
    time.tzset()


def check_time_zone(name: str, root: Path = ZONES) -> None:
    """Raises SetupError when this machine knows no zone `name`; "" is the machine's own."""
    if not name:
        return
    if name.startswith("/") or ".." in name.split("/") or not (root / name).is_file():
        remedy = Sentence("Write it as in Europe/Berlin (timedatectl list-timezones), or leave it out for the machine's own.")
        if not (root / "UTC").is_file():
            remedy = Sentence("This machine knows no zones: on Debian, apt install tzdata.")
        raise SetupError(Sentence('There is no time zone "%(name)s" (server.time_zone).', name=name), remedy)
