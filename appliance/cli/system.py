"""`pillarbox first-boot`, `install` and `uninstall`: the commands about the operating system around the server, all root's."""

from pathlib import Path
from typing import Any


def run(args: Any) -> int:
    """The exit status of one of the commands. Raises SetupError."""
    return first_boot(Path(args.boot), Path(args.state))


def first_boot(boot: Path, state: Path) -> int:
    """What is wrong on standard output, which is the box's console; 0 in any case: the boot goes on."""
    from appliance.system.first_boot import apply, consoles_of

    findings = apply(boot, state, consoles_of())
    for sentence in (*findings.faults, *findings.notes):
        print(f"pillarbox: {sentence}")
    return 0
