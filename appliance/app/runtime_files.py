"""Files in the unit's runtime directory (RUNTIME_DIRECTORY, in memory), by which the server speaks to small units of root.

| file              | content                                   | which unit acts on it                                             |
|-------------------|-------------------------------------------|-------------------------------------------------------------------|
| setup-code        | the setup code; nothing with accounts     | pillarbox-setup-code: the file on the boot partition              |
| request-power-off | nothing                                   | pillarbox-power-off: after the data directory was closed          |

The directory is the server's user's; no other user may look into it. Where no unit waits for a file, it means nothing; without a
runtime directory there is none. Nothing here fails.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.status.board import Board


def directory(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The runtime directory of the unit; None without one."""
    named = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(named) if named else None


def request_power_off(place: Path | None) -> None:
    """Ask the system to switch the box off, now that the data directory is closed."""
    if place is not None:
        with suppress(OSError):
            (place / "request-power-off").touch()


def write_setup_code(place: Path | None, code: str) -> None:
    """Show the setup code, or "" that there is none any more; replaced whole."""
    if place is not None:
        with suppress(OSError):
            fresh = place / ".setup-code.new"
            fresh.write_text(code)
            fresh.replace(place / "setup-code")


async def end_setup_code(place: Path | None, board: "Board") -> None:
    """Wait for the first account, then take the code away."""
    version = -1
    while True:
        snapshot = await board.changed(version)
        if snapshot.accounts:
            break
        version = snapshot.version
    write_setup_code(place, "")
