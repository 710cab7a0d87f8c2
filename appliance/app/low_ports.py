"""Ports below 1024 for a server that gives up root: bound first, then inherited as systemd would pass them (sd_listen_fds(3))."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.network.sockets import FIRST_HANDED, Endpoint, handed_count, open_listening_sockets
from appliance.runtime import privileges

if TYPE_CHECKING:
    from appliance.config.settings import Settings

PRIVILEGED_PORTS = 1024


def give_up_root(data: Path, settings: "Settings") -> None:
    """Bind the low ports of the settings, then become the owner of the data directory, when that is another user. Raises SetupError."""
    from .listeners import endpoints

    owner = privileges.other_owner(data)
    if owner is not None:
        privileges.expect_usable(owner, data)
        bind_as_root(endpoints(settings))
        privileges.become(owner)


def bind_as_root(endpoints: Sequence[Endpoint]) -> None:
    """Listen on the ports below 1024; the program this process becomes by exec inherits the sockets. Raises SetupError."""
    opened = open_listening_sockets([one for one in endpoints if 0 < one.port < PRIVILEGED_PORTS])
    if not opened:
        return
    pid = os.getpid()
    handed = handed_count(os.environ, pid)
    names = os.environ.get("LISTEN_FDNAMES", "").split(":") if handed else []
    first = FIRST_HANDED + handed
    # Copied above the range first, then down to their numbers: a number may be in use by another of these sockets.
    copies = [fcntl.fcntl(listening_socket.socket.detach(), fcntl.F_DUPFD_CLOEXEC, first + len(opened)) for listening_socket in opened]
    for at, copy in enumerate(copies, first):
        os.dup2(copy, at, inheritable=True)
        os.close(copy)
    for at in range(FIRST_HANDED, first):
        os.set_inheritable(at, True)
    names = [*names[:handed], *(listening_socket.endpoint.protocol for listening_socket in opened)]
    os.environ.update(LISTEN_PID=str(pid), LISTEN_FDS=str(first - FIRST_HANDED + len(opened)), LISTEN_FDNAMES=":".join(names))
