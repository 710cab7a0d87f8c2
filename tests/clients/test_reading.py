"""IMAP and POP3 clients: curl, imapclient, fetchmail, mpop."""

import os
import subprocess
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.needs import program
from tests.support.server import PASSWORD

from .conftest import ADA, Served, message


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    served.empty()


def curl(served: Served, *words: str, check: bool = True) -> bytes:
    base = [program("curl"), "-sS", "--ssl-reqd", "--cacert", str(served.authority), "-u", f"{ADA}:{PASSWORD}"]
    done = subprocess.run([*base, *words], capture_output=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_curl_reads_searches_and_uploads(served: Served, scheme: str, tmp_path: Path) -> None:
    first, second = served.fill([message(1), message(2)])
    base = f"{scheme}://localhost:{getattr(served, scheme)}"
    assert curl(served, f"{base}/INBOX;UID={first}") == message(1)
    assert curl(served, f"{base}/INBOX;UID={second};SECTION=TEXT") == message(2).partition(b"\r\n\r\n")[2]
    assert curl(served, f"{base}/INBOX?SUBJECT%20%22Message%202%22").strip() == b"* SEARCH 2"
    (tmp_path / "up").write_bytes(message(3))
    curl(served, f"{base}/Archive", "-T", str(tmp_path / "up"))
    assert [octets for octets, _ in served.messages("Archive").values()][-1] == message(3)
    listed = curl(served, f"{base}/").decode()
    assert all(name in listed for name in ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"))


@pytest.mark.parametrize("scheme", ["pop3", "pop3s"])
def test_curl_fetches(served: Served, scheme: str) -> None:
    served.fill([message(1), message(2)])
    base = f"{scheme}://localhost:{getattr(served, scheme)}"
    assert curl(served, f"{base}/2") == message(2)
    assert curl(served, base).split() == [b"1", str(len(message(1))).encode(), b"2", str(len(message(2))).encode()]
    curl(served, f"{base}/1", "-X", "DELE", "-I")
    assert [octets for octets, _ in served.messages().values()] == [message(2)]


def test_imapclient_and_the_changes_of_another_session(served: Served) -> None:
    with IMAPClient("127.0.0.1", served.imap, ssl=False) as one, IMAPClient("127.0.0.1", served.imap, ssl=False) as two:
        for imap in (one, two):
            imap.login(ADA, PASSWORD)
        assert {flags[-1] for flags, _, name in one.list_folders() if name == "Sent"} == {b"\\Sent"}
        assert {name for _, _, name in one.list_sub_folders()} >= {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"}
        selected = one.select_folder("INBOX")
        assert selected[b"HIGHESTMODSEQ"]
        one.idle()
        uids = served.fill([message(1), message(2)])
        seen = []
        while (2, b"EXISTS") not in seen:
            seen += one.idle_check(timeout=20)
        one.idle_done()
        two.select_folder("INBOX")
        two.add_flags(uids[0], [b"\\Flagged", b"$Forwarded"])
        assert set(one.get_flags(uids)[uids[0]]) >= {b"\\Flagged", b"$Forwarded"}
        two.move([uids[0]], "Archive")
        assert two.search("ALL") == [uids[1]]
        one.noop()
        assert one.search("ALL") == [uids[1]]
        two.create_folder("Räume/Bäume")
        assert "Räume/Bäume" in [name for _, _, name in one.list_folders()]
        assert one.folder_status("Archive", ["MESSAGES", "UIDNEXT", "SIZE"])[b"MESSAGES"] >= 1
        two.delete_folder("Räume/Bäume")


def test_fetchmail_fetches_and_deletes(served: Served, tmp_path: Path) -> None:
    served.fill([message(1), message(2)])
    rc = tmp_path / "rc"
    rc.write_text(
        f'poll localhost port {served.pop3s} protocol POP3 user "{ADA}" password "{PASSWORD}"'
        f' ssl sslcertck sslcertfile "{served.authority}" no rewrite mda "cat >> {tmp_path}/got"\n'
    )
    rc.chmod(0o600)
    words = [
        program("fetchmail"),
        "-f",
        str(rc),
        "--nosyslog",
        "-i",
        str(tmp_path / "ids"),
        "--invisible",
        "--pidfile",
        str(tmp_path / "pid"),
    ]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    got = (tmp_path / "got").read_bytes()
    assert got.count(b"Subject: Message") == 2
    assert b"\n.leading dot\n" in got and b"..leading" not in got
    assert not served.messages()


def test_mpop_keeps_messages_and_fetches_new_ones_only(served: Served, tmp_path: Path) -> None:
    served.fill([message(1), message(2)])
    (tmp_path / "box").mkdir()
    for kind in ("cur", "new", "tmp"):
        (tmp_path / "box" / kind).mkdir()
    rc = tmp_path / "rc"
    rc.write_text(
        f"account a\nhost localhost\nport {served.pop3s}\ntls on\ntls_starttls off\ntls_trust_file {served.authority}\n"
        f"user {ADA}\npasswordeval echo {PASSWORD}\nkeep on\nreceived_header off\nuidls_file {tmp_path}/uidls\n"
        f"delivery maildir {tmp_path}/box\n"
    )
    rc.chmod(0o600)

    def run() -> list[bytes]:
        done = subprocess.run([program("mpop"), "-C", str(rc), "a"], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return sorted(path.read_bytes() for path in (tmp_path / "box" / "new").iterdir())

    assert run() == [message(n).replace(b"\r\n", b"\n") for n in (1, 2)]
    served.fill([message(3)])
    assert len(run()) == 3
    assert len(served.messages()) == 3


def test_two_pop3_sessions_of_one_account(served: Served) -> None:
    import poplib

    served.fill([message(1)])
    first = poplib.POP3("127.0.0.1", served.pop3)
    first.user(ADA)
    first.pass_(PASSWORD)
    second = poplib.POP3("127.0.0.1", served.pop3)
    second.user(ADA)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        second.pass_(PASSWORD)
    first.quit()
    third = poplib.POP3("127.0.0.1", served.pop3)
    third.user(ADA)
    assert third.pass_(PASSWORD).startswith(b"+OK")
    third.quit()
