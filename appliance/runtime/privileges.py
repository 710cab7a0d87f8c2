"""Root's rights given up: a command or server on another user's data directory becomes that user first.

    started as    data directory of    what happens
    root          somebody else        groups, gid and uid become the owner's, HOME and USER follow; for good
    root          root, or none yet    stays root
    a user        anybody              stays that user; the kernel decides what it may open

Files that root would make there (database, keys, certificates) could not be read by the server afterwards. `import` and
`export` keep root for the archive outside: a child process becomes the owner and holds the data directory, the two
speak over a socket pair in the form of the control socket. Nothing is ever given away by chown.
`bind_as_root` opens the ports below 1024 first and hands them on as systemd would (sd_listen_fds(3)).
How it fails: SetupError when the owner could not run this program or reach the directory; then nothing has changed.
"""

import fcntl
import os
import pwd
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import trio

from appliance.control.client import RemoteControl
from appliance.control.exchange import answer_caller
from appliance.control.requests import Refusal
from appliance.control.stream import ControlStream
from appliance.mail.errors import MisuseError, PeerGone, SetupError
from appliance.network.sockets import FIRST_HANDED, Endpoint, open_listening_sockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from appliance.control.requests import Control

PRIVILEGED_PORTS = 1024
Offline = Callable[[Path], "AbstractAsyncContextManager[Control]"]


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
        what = f"{data} belongs to {owner.name}, who may not use {needed[code - 1][0]}."
        raise SetupError(what, f"Put it where {owner.name} may read it, such as below /opt or /srv, or give the directory to root.")
    raise SetupError(f"{data} belongs to {owner.name}, whom this process cannot become.", f"Run it as {owner.name}: sudo -u {owner.name}.")


def bind_as_root(endpoints: Sequence[Endpoint]) -> None:
    """Listen on the ports below 1024 and hand the sockets to the program this process becomes by exec. Raises SetupError."""
    opened = open_listening_sockets([one for one in endpoints if 0 < one.port < PRIVILEGED_PORTS])
    if not opened:
        return
    pid = str(os.getpid())
    handed = int(os.environ["LISTEN_FDS"]) if os.environ.get("LISTEN_PID") == pid else 0
    names = os.environ.get("LISTEN_FDNAMES", "").split(":") if handed else []
    first = FIRST_HANDED + handed
    # First out of the way, then to the places: a place may be held by another of these sockets.
    copies = [fcntl.fcntl(listening_socket.socket.detach(), fcntl.F_DUPFD_CLOEXEC, first + len(opened)) for listening_socket in opened]
    for at, copy in enumerate(copies, first):
        os.dup2(copy, at, inheritable=True)
        os.close(copy)
    for at in range(FIRST_HANDED, first):
        os.set_inheritable(at, True)
    names = [*names[:handed], *(listening_socket.endpoint.protocol for listening_socket in opened)]
    os.environ.update(LISTEN_PID=pid, LISTEN_FDS=str(first - FIRST_HANDED + len(opened)), LISTEN_FDNAMES=":".join(names))


# --- import and export --------------------------------------------------------------------------


@contextmanager
def admin_api_as_owner(data: Path, owner: Owner, offline: Offline) -> "Iterator[LentControls]":
    """The data directory in the hands of a child that has become its owner. Begin this outside trio."""
    expect_usable(owner, data)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        _be_the_admin_api(data, owner, offline, theirs)
    theirs.close()
    try:
        yield LentControls(data, ours)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _be_the_admin_api(data: Path, owner: Owner, offline: Offline, calling: socket.socket) -> NoReturn:
    """The child: never returns into the command it was forked from."""
    code = 1
    try:
        become(owner)
        trio.run(_answer_requests, data, offline, calling)
        code = 0
    except BaseException as fault:
        if not isinstance(fault, KeyboardInterrupt):
            os.write(2, f"pillarbox: the data directory could not be used: {fault!r}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


async def _answer_requests(data: Path, offline: Offline, calling: socket.socket) -> None:
    calling.setblocking(False)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(calling)) as stream:
        line = ControlStream(stream)
        with suppress(PeerGone, MisuseError):
            try:
                async with offline(data) as controls:
                    while True:
                        await answer_caller(line, controls, await line.receive())
            except SetupError as error:
                await line.send(Refusal(error.problem, error.remedy))


class LentControls(RemoteControl):
    """The same at the other end of the socket pair; one request after another."""

    def __init__(self, data: Path, calling: socket.socket) -> None:
        super().__init__(data)
        self._calling = calling

    def _connect(self) -> socket.socket:
        return self._calling.dup()

    @asynccontextmanager
    async def lent(self) -> "AsyncIterator[LentControls]":
        yield self
