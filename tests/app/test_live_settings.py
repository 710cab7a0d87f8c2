"""app/live_settings over real sockets: what an administrator changes in a browser is in use for the next session, or waits and is told."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.https_client import HttpsClient
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox
from tests.support.wire import Smtp, faults

WAITS = "wait for a restart"
SETTINGS = "/admin/settings"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("live") / "data", "ada"), protocols=("smtp", "imap", "https")) as one:
        yield one
        assert not faults(one.log)


@pytest.fixture
def ada(server: Pillarbox) -> Iterator[HttpsClient]:
    with HttpsClient(server.ports["https"], pillarbox("certificate", "export", data=server.data).stdout) as client:
        client.sign_in("ada@home.example", PASSWORD)
        yield client


def change(client: HttpsClient, section: str, **values: str) -> str:
    """The page of the settings afterwards."""
    client.ask("GET", SETTINGS, accept="text/html")
    fields = {f"value-{name}": value for name, value in values.items()}
    assert client.post(f"{SETTINGS}/section/{section}", field=",".join(values), **fields)[0] == 303
    return client.ask("GET", SETTINGS, accept="text/html")[2].decode()


def test_the_size_of_messages_is_in_use_for_the_next_session(server: Pillarbox, ada: HttpsClient) -> None:
    before = Smtp(server.ports["smtp"])
    page = change(ada, "messages", largest_mb="3")
    assert "changed and in use" in page and WAITS not in page
    assert "SIZE 3000000" in ehlo(Smtp(server.ports["smtp"])) and "SIZE 150000000" in ehlo(before), "a session keeps what it began with"
    with socket.create_connection(("127.0.0.1", server.ports["imap"]), timeout=20) as imap:
        assert imap.recv(4096).startswith(b"* OK")
        imap.sendall(b"a CAPABILITY\r\n")
        assert b"APPENDLIMIT=3000000" in imap.recv(4096)


def test_what_needs_a_restart_says_so_until_it_is_taken_back(ada: HttpsClient) -> None:
    assert WAITS in change(ada, "server", time_zone="Europe/Berlin")
    page = change(ada, "accounts", recipients_per_day="300")
    assert "changed and in use" not in page and WAITS in page
    assert WAITS not in change(ada, "server", time_zone="")


def test_a_file_changed_by_hand_waits_for_the_next_start(server: Pillarbox, ada: HttpsClient) -> None:
    file = server.data / "pillarbox.toml"
    file.write_text(file.read_text().replace("largest_mb = 3", "largest_mb = 4"))
    assert WAITS in ada.ask("GET", SETTINGS, accept="text/html")[2].decode()
    assert "SIZE 3000000" in ehlo(Smtp(server.ports["smtp"]))
    page = change(ada, "messages", recipients="500")
    assert WAITS not in page, "the change was made to the file as it is"
    assert "SIZE 4000000" in ehlo(Smtp(server.ports["smtp"]))


def ehlo(smtp: Smtp) -> str:
    return smtp.ask(b"EHLO me.example").decode()
