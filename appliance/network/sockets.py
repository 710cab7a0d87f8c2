"""The listening sockets: opened here, or handed over by systemd.

How it fails: SetupError with a remedy when an address cannot be had.
"""

import errno
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.mail.address import ascii_domain
from appliance.mail.errors import SetupError
from appliance.mail.protocols import PROTOCOL_NAMES
from appliance.mail.sentence import Sentence

BACKLOG = 512
"""Connections the kernel holds until they are accepted: a burst of a few hundred must not be lost."""
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES = 600, 60, 5
"""A phone that vanished is noticed in 15 minutes; probing more often wakes its radio for nothing."""
FIRST_HANDED = 3
"""systemd's SD_LISTEN_FDS_START."""
TCPI_UNACKED = 24
"""Offset in struct tcp_info (linux/tcp.h); of a listening socket it is the length of its queue (tcp(7))."""
ANYWHERE = ("", "*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one protocol listens. `host` is an address or name, "" or "*" for all; port 0 is any free one."""

    protocol: str
    host: str
    port: int


@dataclass(slots=True)
class ListeningSocket:
    """One listening socket. `endpoint` has the address really bound; `handed` came from systemd and is never reopened."""

    endpoint: Endpoint
    socket: socket.socket
    handed: bool = False


def open_listening_sockets(endpoints: Sequence[Endpoint]) -> list[ListeningSocket]:
    """Bind and listen; all or none. Raises SetupError."""
    listening_sockets: list[ListeningSocket] = []
    try:
        for endpoint in endpoints:
            listening_sockets += _open(endpoint)
    except SetupError:
        for listening_socket in listening_sockets:
            listening_socket.socket.close()
        raise
    return listening_sockets


def reopen(listening_socket: ListeningSocket) -> ListeningSocket:
    """The same address once more, after its socket failed. Raises SetupError."""
    return _bind(
        listening_socket.endpoint, listening_socket.socket.family, (listening_socket.endpoint.host, listening_socket.endpoint.port)
    )


def handed_count(environment: Mapping[str, str], pid: int) -> int:
    """How many descriptors from FIRST_HANDED on systemd handed to this process (sd_listen_fds(3))."""
    count = environment.get("LISTEN_FDS", "") if environment.get("LISTEN_PID") == str(pid) else ""
    return int(count) if count.isascii() and count.isdigit() else 0


def handed_listening_sockets(environment: Mapping[str, str], pid: int, known: Sequence[str] = PROTOCOL_NAMES) -> list[ListeningSocket]:
    """Sockets of LISTEN_FDS whose LISTEN_FDNAMES name their protocol; [] when none are for this process (sd_listen_fds(3))."""
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    listening_sockets = []
    for at in range(handed_count(environment, pid)):
        name = names[at] if at < len(names) else ""
        if name not in known:
            raise SetupError(
                Sentence("systemd handed over a socket named %(name)s.", name=f"{name!r}"),
                Sentence("Give each .socket unit FileDescriptorName= one of %(known)s.", known=", ".join(known)),
            )
        os.set_inheritable(FIRST_HANDED + at, False)
        handed = socket.socket(
            fileno=os.dup(FIRST_HANDED + at)
        )  # the inherited descriptor stays open, for a server that executes itself again
        if handed.type != socket.SOCK_STREAM or not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise SetupError(
                Sentence("The socket %(name)s handed over by systemd does not listen.", name=name), "Use ListenStream= and Accept=no."
            )
        handed.setblocking(False)
        _keep_alive(handed)
        host, port = handed.getsockname()[:2]
        listening_sockets.append(ListeningSocket(Endpoint(name, host, port), handed, handed=True))
    return listening_sockets


def not_handed(endpoints: Sequence[Endpoint], handed: Sequence[ListeningSocket]) -> list[Endpoint]:
    """Those whose protocol and port no handed socket has: they are to be opened here."""
    have = {(listening_socket.endpoint.protocol, listening_socket.endpoint.port) for listening_socket in handed}
    return [one for one in endpoints if (one.protocol, one.port) not in have]


def keep_handed(environment: Mapping[str, str], pid: int) -> None:
    """Let systemd's sockets survive an exec of this process."""
    for at in range(handed_count(environment, pid)):
        os.set_inheritable(FIRST_HANDED + at, True)


def _open(endpoint: Endpoint) -> list[ListeningSocket]:
    if endpoint.host in ANYWHERE:
        listening_sockets = []
        try:
            listening_sockets.append(_bind(endpoint, socket.AF_INET6, ("::", endpoint.port)))
        except SetupError as e:
            if not _no_such_family(e):
                raise
        port = listening_sockets[0].endpoint.port if listening_sockets else endpoint.port
        try:
            listening_sockets.append(_bind(endpoint, socket.AF_INET, ("0.0.0.0", port)))  # noqa: S104  (as configured)
        except SetupError as e:
            if not listening_sockets or not _no_such_family(e):
                for listening_socket in listening_sockets:
                    listening_socket.socket.close()
                raise
        return listening_sockets
    try:
        # Python would put a name into A-labels of IDNA 2003
        found = socket.getaddrinfo(ascii_domain(endpoint.host), endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as e:
        reason = getattr(e, "strerror", "") or "not a name"
        raise SetupError(
            Sentence("%(host)s: no such address (%(reason)s).", host=endpoint.host, reason=reason),
            "Use an address of this machine, or * for all.",
        ) from e
    listening_sockets = []
    for family, _type, _proto, _name, address in dict.fromkeys(found):
        port = listening_sockets[0].endpoint.port if listening_sockets else endpoint.port
        try:
            listening_sockets.append(_bind(endpoint, family, (str(address[0]), port)))
        except SetupError as e:
            if not _no_such_family(e) or (not listening_sockets and family == found[-1][0]):
                for listening_socket in listening_sockets:
                    listening_socket.socket.close()
                raise
    return listening_sockets


def waiting_connections(listening: socket.socket) -> int:
    """Connections that the kernel has accepted and the server has not; 0 for a closed socket."""
    try:
        return int(struct.unpack_from("I", listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), TCPI_UNACKED)[0])
    except (OSError, struct.error):
        return 0


def _no_such_family(fault: SetupError) -> bool:
    cause = fault.__cause__
    return isinstance(cause, OSError) and cause.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}


def _bind(endpoint: Endpoint, family: int, address: tuple[str, int]) -> ListeningSocket:
    host, port = address
    opened = None
    try:
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _keep_alive(opened)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as e:
        if opened is not None:
            opened.close()
        raise _explain(e, endpoint, host, port) from e
    return ListeningSocket(Endpoint(endpoint.protocol, host, opened.getsockname()[1]), opened)


def _keep_alive(listening: socket.socket) -> None:
    """Set on the listening socket: accepted sockets inherit these options on Linux, which saves four system calls each."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES)


def _explain(fault: OSError, endpoint: Endpoint, host: str, port: int) -> SetupError:
    text = Sentence(
        "%(protocol)s cannot listen at %(host)s port %(port)s: %(strerror)s.",
        protocol=endpoint.protocol,
        host=host,
        port=port,
        strerror=fault.strerror,
    )
    if fault.errno == errno.EADDRINUSE:
        return SetupError(
            text, Sentence("Stop the program that holds it (ss -ltnp 'sport = :%(port)s'), or choose another port.", port=port)
        )
    if fault.errno in {errno.EACCES, errno.EPERM}:
        remedy = Sentence(
            "Ports below 1024 need the service of `pillarbox install` (CAP_NET_BIND_SERVICE, README.md); or choose one above."
        )
        return SetupError(text, remedy)
    if fault.errno == errno.EADDRNOTAVAIL:
        return SetupError(text, "Use an address of this machine, or * for all.")
    return SetupError(text, "Choose another address or port.")
