"""`pillarbox first-boot`, `install` and `uninstall`: the commands about the operating system around the server, all root's."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .asking import make_sure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.system.install import InstallStep


def run(args: Any) -> int:
    """The exit status of one of the commands. Raises SetupError."""
    if args.special == "first-boot":
        return first_boot(Path(args.boot), Path(args.state))
    if os.geteuid() != 0:
        raise SetupError(
            Sentence("pillarbox %(special)s changes the system, which only root may do.", special=args.special),
            Sentence("Type: sudo pillarbox %(special)s", special=args.special),
        )
    return install(yes=args.yes) if args.special == "install" else uninstall(purge=args.purge, yes=args.yes)


def first_boot(boot: Path, state: Path) -> int:
    """What is wrong on standard output, which is the box's console; 1 when it is to be tried again at the next start."""
    from appliance.system.first_boot import apply, consoles_of

    findings = apply(boot, state, consoles_of())
    for sentence in (*findings.faults, *findings.notes):
        print(f"pillarbox: {sentence}")
    return 1 if findings.again else 0


def install(*, yes: bool) -> int:
    """The server as a service of this machine."""
    from appliance.system.install import System, check, install_steps

    os.umask(0o022)  # what is made for the system may be read by others; the data directory and settings have modes of their own
    system = System()
    check(system)
    _follow("install", install_steps(system), "Install it?", yes=yes)
    print("\nPillarbox runs, and starts with the machine. What next:\n")
    print("  sudo pillarbox setup-code --data /srv/pillarbox              the code that makes the first account")
    print("  sudo pillarbox account add NAME@DOMAIN --data /srv/pillarbox  or make it here")
    print("  sudo pillarbox status --data /srv/pillarbox                  how the server is")
    print("\nIts settings are in /etc/pillarbox.toml; after a change: sudo systemctl restart pillarbox")
    return 0


def uninstall(*, purge: bool, yes: bool) -> int:
    """All that `install` made, away again."""
    from appliance.system.install import System, uninstall_steps

    system = System()
    question = "This erases ALL MAIL for good. Do it?" if purge else "Uninstall it?"
    _follow("uninstall", uninstall_steps(system, purge=purge), question, yes=yes)
    if not purge:
        print("\nThe mail in /srv/pillarbox, the settings and the user stay; `pillarbox uninstall --purge` removes them too.")
    print(f"The program itself is in {system.environment}; remove that directory if you do not need it.")
    return 0


def _follow(name: str, steps: "Sequence[InstallStep]", question: str, *, yes: bool) -> None:
    """Tell the steps that have something to do, ask, and do them. Raises SetupError."""
    due = [step for step in steps if step.needed()]
    print(f"pillarbox {name} will:\n" + "\n".join(f"  - {step.text}" for step in due) if due else "There is nothing to do.", flush=True)
    if not due:
        return
    if not yes:
        make_sure(question)
    for step in due:
        try:
            step.do()
        except OSError as error:
            what = Sentence("It could not %(text)s: %(strerror)s.", text=step.text, strerror=error.strerror or error)
            raise SetupError(what, Sentence("Correct that, then run pillarbox %(name)s again.", name=name)) from error
        print(f"done: {step.text}", flush=True)
