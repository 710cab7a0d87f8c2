"""network/sockets: listening sockets opened here, all or none, and those handed over by systemd."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from appliance.mail.errors import SetupError
from appliance.network.sockets import (
    KEEPALIVE_EVERY_S,
    KEEPALIVE_IDLE_S,
    KEEPALIVE_TRIES,
    Endpoint,
    ListeningSocket,
    not_handed,
    open_listening_sockets,
    reopen,
    waiting_connections,
)
from tests.support.server import ROOT, environment, free_ports


@pytest.fixture
def opened() -> Iterator[list[ListeningSocket]]:
    found: list[ListeningSocket] = []
    yield found
    for one in found:
        one.socket.close()


def test_everywhere_is_both_families_on_one_port(opened: list[ListeningSocket]) -> None:
    for anywhere in ("", "*"):
        opened += (both := open_listening_sockets([Endpoint("imap", anywhere, 0)]))
        assert {one.endpoint.host for one in both} == {"::", "0.0.0.0"} and len({one.endpoint.port for one in both}) == 1
        assert both[0].endpoint.port and not any(one.handed for one in both)
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, both[0].endpoint.port), timeout=5).close()


def test_accepted_connections_are_probed_and_send_at_once(opened: list[ListeningSocket]) -> None:
    opened += open_listening_sockets([Endpoint("imap", "127.0.0.1", 0)])
    listening = opened[0].socket
    listening.setblocking(True)
    with closing(socket.create_connection(listening.getsockname(), timeout=5)), closing(listening.accept()[0]) as accepted:
        options = [accepted.getsockopt(socket.IPPROTO_TCP, one) for one in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]
        assert options == [KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES], "inherited from the listening socket"
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) and accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("host", "text", "remedy"),
    [
        ("no-such-name.invalid", "no such address", "an address of this machine"),
        ("a" * 70 + ".example", "no such address", "an address of this machine"),
        ("203.0.113.77", "cannot listen at 203.0.113.77", "an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_a_sentence_with_a_remedy(host: str, text: str, remedy: str) -> None:
    with pytest.raises(SetupError) as caught:
        open_listening_sockets([Endpoint("imap", host, 0)])
    assert text in caught.value.problem and remedy in caught.value.remedy


def test_all_or_none(opened: list[ListeningSocket]) -> None:
    """One port that is taken leaves none of the others open, so that another server can start at once."""
    opened += open_listening_sockets([Endpoint("smtp", "127.0.0.1", 0)])
    taken, (free,) = opened[0].endpoint.port, free_ports(1)
    with pytest.raises(SetupError) as caught:
        open_listening_sockets([Endpoint("imap", "127.0.0.1", free), Endpoint("pop3", "127.0.0.1", taken)])
    assert f"pop3 cannot listen at 127.0.0.1 port {taken}" in caught.value.problem and f"sport = :{taken}" in caught.value.remedy
    opened += open_listening_sockets([Endpoint("imap", "127.0.0.1", free)])


def test_a_port_taken_in_one_family_only_is_not_half_opened(opened: list[ListeningSocket]) -> None:
    opened += open_listening_sockets([Endpoint("smtp", "0.0.0.0", 0)])
    port = opened[0].endpoint.port
    with pytest.raises(SetupError, match=r"0\.0\.0\.0"):
        open_listening_sockets([Endpoint("imap", "*", port)])
    opened += open_listening_sockets([Endpoint("imap", "::", port)])


def test_reopened_at_the_same_address(opened: list[ListeningSocket]) -> None:
    opened += open_listening_sockets([Endpoint("imap", "127.0.0.1", 0)])
    opened[0].socket.close()
    opened.append(reopen(opened[0]))
    assert opened[1].endpoint == opened[0].endpoint


def test_connections_that_wait_are_counted(opened: list[ListeningSocket]) -> None:
    opened += open_listening_sockets([Endpoint("imap", "127.0.0.1", 0)])
    listening = opened[0].socket
    assert waiting_connections(listening) == 0
    clients = [socket.create_connection(listening.getsockname(), timeout=5) for _ in range(3)]
    assert waiting_connections(listening) == 3
    for client in clients:
        client.close()
    listening.close()
    assert waiting_connections(listening) == 0


HANDED = """
import json, os, sys
from appliance.mail.errors import SetupError
from appliance.network.sockets import handed_listening_sockets, keep_handed
os.environ["LISTEN_PID"] = os.environ["LISTEN_PID"].replace("mine", str(os.getpid()))
try:
    found = handed_listening_sockets(os.environ, os.getpid())
    inherited = [os.get_inheritable(3 + at) for at in range(len(found))]
    keep_handed(os.environ, os.getpid())
    kept = [os.get_inheritable(3 + at) for at in range(len(found))]
    print(json.dumps([[[one.endpoint.protocol, one.endpoint.port, one.handed] for one in found], inherited, kept]))
except SetupError as error:
    print(json.dumps([error.problem, error.remedy]))
"""


def handed(*sockets: socket.socket, **variables: str) -> list[object]:
    """What a process makes of sockets at descriptors 3 and up (sd_listen_fds(3))."""
    import json

    def place() -> None:
        for at, one in enumerate(sockets, 3):
            os.dup2(one.fileno(), at, inheritable=True)

    process = subprocess.run(
        [sys.executable, "-c", HANDED], env={**environment(), "LISTEN_PID": "mine", "LISTEN_FDS": str(len(sockets)), **variables},
        preexec_fn=place, close_fds=False, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    found: list[object] = json.loads(process.stdout)
    return found


def listening_above(number: int) -> socket.socket:
    """A listening socket whose descriptor is not in the way of those handed over."""
    import fcntl

    with socket.create_server(("127.0.0.1", 0)) as made:
        return socket.socket(fileno=fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, number))


def test_handed_over_sockets_carry_their_names() -> None:
    with closing(listening_above(20)) as one, closing(listening_above(20)) as two:
        ports = [each.getsockname()[1] for each in (one, two)]
        found = handed(one, two, LISTEN_FDNAMES="imaps:smtp")
        assert found == [[["imaps", ports[0], True], ["smtp", ports[1], True]], [False, False], [True, True]], (
            "not for children, but for the program this process becomes"
        )


@pytest.mark.parametrize("variables", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": "x"}, {"LISTEN_FDS": ""}])
def test_sockets_of_another_process_are_not_taken(variables: dict[str, str]) -> None:
    with closing(listening_above(20)) as one:
        assert handed(one, **{"LISTEN_FDNAMES": "imap", **variables})[0] == []


@pytest.mark.parametrize("names", ["", "web-admin", ":imap", "imap"])
def test_a_socket_without_a_known_name_or_that_does_not_listen_is_refused(names: str) -> None:
    with closing(listening_above(20)) as one:
        if names == "imap":  # a connected one
            client = socket.create_connection(one.getsockname(), timeout=5)
            problem, remedy = handed(client, LISTEN_FDNAMES=names)
            client.close()
            assert "does not listen" in str(problem) and "Accept=no" in str(remedy)
        else:
            problem, remedy = handed(one, LISTEN_FDNAMES=names)
            assert "systemd handed over a socket named" in str(problem) and "FileDescriptorName=" in str(remedy)


def test_endpoints_that_systemd_holds_are_not_opened_again(opened: list[ListeningSocket]) -> None:
    opened += open_listening_sockets([Endpoint("imap", "127.0.0.1", 0)])
    port = opened[0].endpoint.port
    wanted = [Endpoint("imap", "*", port), Endpoint("imap", "*", port + 1), Endpoint("smtp", "*", port)]
    assert not_handed(wanted, opened) == wanted[1:]
