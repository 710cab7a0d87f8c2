"""Giving up root's rights: a command or server on another user's data directory becomes that user first.

    started as    data directory of    what happens
    root          another user         groups, gid and uid become the owner's, HOME and USER follow; for good
    root          root, or none yet    stays root
    a user        anybody              stays that user; the kernel decides what it may open

Files that root made there (database, keys, certificates) could not be read by the server afterwards. Nothing is given
away by chown. Ports below 1024 are bound before (`app/low_ports`); `import` and `export` keep root for the archive
outside (`cli/owner_process`).
How it fails: SetupError when the owner could not run this program or reach the directory; then nothing has changed.
"""

import os
import pwd
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a data directory belongs to. `name` is the number where the system has no name for it."""

    uid: int
    gid: int
    name: str
    home: str


def other_owner(data: Path) -> Owner | None:
    """The user root must become for this data directory; None when there is nothing to give up."""
    if os.geteuid() != 0:
        return None
    try:
        found = data.stat()
    except OSError:
        return None
    if found.st_uid == 0:
        return None
    try:
        known = pwd.getpwuid(found.st_uid)
    except KeyError:
        return Owner(found.st_uid, found.st_gid, str(found.st_uid), "/")
    return Owner(known.pw_uid, known.pw_gid, known.pw_name, known.pw_dir)


def become(owner: Owner) -> None:
    """Be `owner` for good: groups first, the user last, since each step needs the rights of the one after it."""
    os.setgroups(os.getgrouplist(owner.name, owner.gid))
    os.setresgid(owner.gid, owner.gid, owner.gid)
    os.setresuid(owner.uid, owner.uid, owner.uid)
    for name in [name for name in os.environ if name.startswith(("SUDO_", "XDG_"))]:
        del os.environ[name]
    os.environ.update(HOME=owner.home, USER=owner.name, LOGNAME=owner.name)


def become_owner(data: Path) -> None:
    """Root becomes the owner of an existing data directory; anybody else stays. Raises SetupError."""
    owner = other_owner(data)
    if owner is not None:
        expect_usable(owner, data)
        become(owner)


def expect_usable(owner: Owner, data: Path) -> None:
    """Raises SetupError when `owner` could not run this program or use the directory: asked in a child that has become them."""
    needed = ((Path(sys.executable), os.X_OK), (Path(__file__).parent, os.R_OK | os.X_OK), (data, os.R_OK | os.W_OK | os.X_OK))
    child = os.fork()
    if not child:
        code = 100
        with suppress(OSError):
            become(owner)
            code = next((at for at, (path, rights) in enumerate(needed, 1) if not os.access(path, rights)), 0)
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return
    if 0 < code <= len(needed):
        fault = Sentence("%(data)s belongs to %(name)s, who may not use %(path)s.", data=data, name=owner.name, path=needed[code - 1][0])
        raise SetupError(
            fault,
            Sentence("Put it where %(name)s may read it, such as below /opt or /srv, or give the directory to root.", name=owner.name),
        )
    raise SetupError(
        Sentence("%(data)s belongs to %(name)s, whom this process cannot become.", data=data, name=owner.name),
        Sentence("Run it as %(name)s: sudo -u %(name)s.", name=owner.name),
    )
