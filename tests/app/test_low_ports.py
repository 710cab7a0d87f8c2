"""app/low_ports: ports below 1024 are bound as root and inherited as systemd would pass them; others are left to the server."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from appliance.app.low_ports import PRIVILEGED_PORTS, bind_as_root
from appliance.mail.errors import SetupError
from appliance.network.sockets import Endpoint
from tests.support import needs
from tests.support.server import ROOT, environment

CHILD = """
import os, sys
from appliance.app.low_ports import bind_as_root
from appliance.network.sockets import Endpoint
os.environ.update(LISTEN_PID=os.environ.get("LISTEN_PID", "").replace("mine", str(os.getpid())))
bind_as_root([Endpoint(*words.split("=")[0:1], "127.0.0.1", int(words.split("=")[1])) for words in sys.argv[1:]])
os.environ["LISTEN_PID"] = str(os.getpid()) if os.environ.get("LISTEN_PID") else ""
os.execv(sys.executable, [sys.executable, "-c", '''
import json, os
from appliance.network.sockets import handed_listening_sockets
found = handed_listening_sockets(os.environ, os.getpid())
print(json.dumps([[one.endpoint.protocol, one.endpoint.port] for one in found]))
'''])
"""


def inherited(*endpoints: str, handed: socket.socket | None = None, name: str = "") -> list[list[object]]:
    """(protocol, port) of the sockets that the program finds which the process becomes."""

    def place() -> None:
        if handed is not None:
            os.dup2(handed.fileno(), 3, inheritable=True)

    given = {"LISTEN_PID": "mine", "LISTEN_FDS": "1", "LISTEN_FDNAMES": name} if handed else {"LISTEN_PID": ""}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *endpoints], env={**environment(), **given}, preexec_fn=place, close_fds=False,
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[object]] = json.loads(done.stdout)
    return found


def low_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in range(PRIVILEGED_PORTS - 1, 600, -1):
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free port below 1024")


def test_without_low_ports_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    bind_as_root([Endpoint("imap", "127.0.0.1", 1143), Endpoint("smtp", "127.0.0.1", 0)])
    assert "LISTEN_FDS" not in os.environ


def test_without_rights_it_is_a_sentence_with_the_remedy() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may")
    with pytest.raises(SetupError, match="smtp cannot listen") as caught:
        bind_as_root([Endpoint("smtp", "127.0.0.1", 1)])
    assert "CAP_NET_BIND_SERVICE" in caught.value.remedy


def test_low_ports_reach_the_program_the_process_becomes() -> None:
    needs.root()
    one, two = low_ports(2)
    assert inherited(f"smtp={one}", "imap=2143", f"imaps={two}") == [["smtp", one], ["imaps", two]]


def test_they_are_added_to_what_systemd_handed_over() -> None:
    needs.root()
    (port,) = low_ports(1)
    import fcntl

    with socket.create_server(("127.0.0.1", 0)) as made:
        above = socket.socket(fileno=fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, 20))
    with closing(above):
        assert inherited(f"smtp={port}", handed=above, name="pop3") == [["pop3", above.getsockname()[1]], ["smtp", port]]
