"""Account commands, with and without a running server: confirmation, nothing lost, and restoring."""

import imaplib
import json
import os
import pty
import select
import smtplib
import subprocess
from pathlib import Path

import pytest

from tests.support.server import COMMAND, PASSWORD, Pillarbox, environment, new_data, pillarbox

MESSAGE = b"From: friend@outside.example\r\nTo: ben@home.example\r\nSubject: kept\r\n\r\nx\r\n"


def answered(data: Path, *words: str, answer: str) -> tuple[int, str]:
    """Run a command on a terminal and type `answer` when it asks; exit status and what was shown."""
    main, side = pty.openpty()
    with subprocess.Popen([*COMMAND, *words, "--data", str(data)], stdin=side, stdout=side, stderr=side, env=environment()) as process:
        os.close(side)
        shown, typed = b"", False
        try:
            while select.select([main], [], [], 30)[0] and (chunk := os.read(main, 4096)):
                shown += chunk
                if b"to go on: " in shown and not typed:
                    typed = True
                    os.write(main, answer.encode() + b"\n")
        except OSError:  # the other side is closed
            pass
        os.close(main)
        return process.wait(30), shown.decode()


def deliver(server: Pillarbox, address: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as smtp:
        smtp.sendmail("friend@outside.example", [address], MESSAGE)


def messages(server: Pillarbox, login: str) -> int:
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(login, PASSWORD)
        return int(imap.select("INBOX")[1][0] or b"0")


def test_removing_asks_keeps_the_mail_and_is_taken_back(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada", "ben")
    with Pillarbox(data, protocols=("smtp", "imap")) as server:
        deliver(server, "ben@home.example")
        asked = pillarbox("account", "remove", "ben@home.example", data=data, check=False)
        assert asked.returncode == 2 and "--yes" in asked.stderr and "pillarbox export ben@home.example" in asked.stderr
        assert messages(server, "ben@home.example") == 1
        status, shown = answered(data, "account", "remove", "ben@home.example", answer="yes")
        assert status == 2 and "Nothing was done" in shown
        status, shown = answered(data, "account", "remove", "ben@home.example", answer="ben@home.example")
        assert status == 0 and "kept for 30 days" in shown and "account restore ben@home.example" in shown
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            deliver(server, "ben@home.example")
        with pytest.raises(imaplib.IMAP4.error):
            messages(server, "ben@home.example")
        listed = json.loads(pillarbox("account", "list", "--json", data=data).stdout)
        assert [one["address"] for one in listed["removed"]] == ["ben@home.example"] and len(listed["accounts"]) == 1
        again = pillarbox("account", "add", "ben@home.example", data=data, password=PASSWORD, check=False)
        assert again.returncode == 2 and "account restore ben@home.example" in again.stderr
    assert "is back" in pillarbox("account", "restore", "ben@home.example", data=data).stdout
    with Pillarbox(data, protocols=("smtp", "imap")) as server:
        assert messages(server, "ben@home.example") == 1
        assert "all its mail are erased" in pillarbox("account", "remove", "ben@home.example", "--purge", "--yes", data=data).stdout
        assert pillarbox("account", "restore", "ben@home.example", data=data, check=False).returncode == 2
        pillarbox("account", "add", "ben@home.example", data=data, password=PASSWORD)
        assert messages(server, "ben@home.example") == 0


def test_domain_remove_does_not_recommend_to_remove_accounts(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")
    refused = pillarbox("domain", "remove", "home.example", data=data, check=False).stderr
    assert "account rename" in refused and "account remove" not in refused


def test_set_rename_disable_and_enable(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada", "ben")
    for words in (("--quota", "5"), ("--quota-mb", "7", "--name", "Ada Smith")):
        pillarbox("account", "set", "ada@home.example", *words, data=data)
    (row, _) = json.loads(pillarbox("account", "list", "--json", data=data).stdout)["accounts"]
    assert (row["name"], row["quota_octets"]) == ("Ada Smith", 7_000_000)
    for wrong in ((), ("--quota", "-1"), ("--quota", "-7"), ("--quota", "much")):
        assert pillarbox("account", "set", "ada@home.example", *wrong, data=data, check=False).returncode == 2
    for wrong in ((), ("--on", "--off"), ("--on",)):
        assert pillarbox("account", "admin", "ada@home.example", *wrong, data=data, check=False).returncode == 2
    with Pillarbox(data, protocols=("smtp", "imap")) as server:
        deliver(server, "ada@home.example")
        assert "only administrator" in pillarbox("account", "disable", "ada@home.example", data=data, check=False).stderr
        pillarbox("account", "admin", "ben@home.example", "--on", data=data)
        renamed = pillarbox("account", "rename", "ada@home.example", "adele@home.example", data=data)
        assert "stays as an alias" in renamed.stdout
        deliver(server, "ada@home.example")
        assert messages(server, "ada@home.example") == messages(server, "adele@home.example") == 2
        open_session = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        open_session.login("adele", PASSWORD)
        reported = pillarbox("account", "disable", "adele@home.example", "--json", data=data)
        assert json.loads(reported.stdout)["sessions_ended"] == 1
        with pytest.raises(imaplib.IMAP4.abort):
            open_session.noop()
        open_session.shutdown()
        deliver(server, "adele@home.example")
        with pytest.raises(imaplib.IMAP4.error):
            messages(server, "adele@home.example")
        assert "disabled" in pillarbox("account", "list", data=data).stdout
        pillarbox("account", "enable", "adele@home.example", data=data)
        assert messages(server, "adele@home.example") == 3


def test_a_new_domain_in_the_settings_changes_no_address_and_says_so(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")
    with Pillarbox(data, protocols=("imap",), domain="second.example") as server:
        accounts = json.loads(pillarbox("account", "list", "--json", data=data).stdout)["accounts"]
        assert [one["address"] for one in accounts] == ["ada@home.example"]
        assert "second.example is now a domain of this server too" in server.log.read_text()


def test_removing_one_target_of_a_group_says_what_is_left(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada", "ben")
    made = pillarbox("alias", "add", "family@home.example", "ada@home.example", "ben@home.example", data=data).stdout
    assert made == "Messages to family@home.example go to ada@home.example, ben@home.example.\n"
    reported = pillarbox("alias", "remove", "family@home.example", "ben@home.example", data=data).stdout
    assert reported == "Messages to family@home.example go to ada@home.example only.\n"
    assert pillarbox("alias", "remove", "family@home.example", data=data).stdout == "The alias family@home.example is gone.\n"


@pytest.mark.parametrize(
    "words",
    ["account remove nobody@home.example --yes", "account frobnicate", "alias add x", "account set ada@home.example"],
)
def test_failures_under_json_are_json(tmp_path: Path, words: str) -> None:
    data = new_data(tmp_path / "data", "ada")
    done = pillarbox(*words.split(), "--json", data=data, check=False)
    facts = json.loads(done.stdout)
    assert done.returncode == facts["exit_status"] == 2 and facts["error"] and "Traceback" not in done.stderr
    assert done.stderr.strip() == f"pillarbox: {facts['error']} {facts['remedy']}".strip()


def test_settings_check_finds_what_only_shows_later(tmp_path: Path) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_text('[server]\ndomain = "not a domain"\nhost_name = "a_b"\n[panel]\nleds = ["led:99"]\nbutton = "left"\n')
    done = pillarbox("settings", "check", str(file), "--json", check=False)
    faults = json.loads(done.stdout)["faults"]
    assert done.returncode == 2 and [one["line"] for one in faults] == [2, 3, 5, 6]
    file.write_text(
        f'[certificate]\nfile = "{tmp_path}/none.pem"\nkey = "{file}"\n[[relay]]\nname = "r"\nhost = "r.example"\nuser = "u"\n'
        f'password_file = "{tmp_path}/none.password"\n'
    )
    done = pillarbox("settings", "check", str(file), check=False)
    assert done.returncode == 2 and "line 2: " in done.stderr and "line 8: " in done.stderr and "No such file" in done.stderr
    file.write_text(f'[certificate]\nfile = "{file}"\nkey = "{file}"\n')
    assert "are not a certificate and its key" in pillarbox("settings", "check", str(file), check=False).stderr
    file.write_text('[server]\ndomain = "straße.example"\n[panel]\nleds = ["led:GPIO17", "pwm:27", "board:ACT"]\nbutton = "BOARD5"\n')
    assert json.loads(pillarbox("settings", "check", str(file), "--json").stdout)["faults"] == []


def test_account_add_creates_no_data_directory_by_mistake(tmp_path: Path) -> None:
    words = [*COMMAND, "account", "add", "ada@home.example", "--password-file", "-"]
    (tmp_path / "photos").mkdir()

    def add(*more: str) -> "subprocess.CompletedProcess[str]":
        environ = {name: value for name, value in environment().items() if name != "PILLARBOX_DATA"}
        return subprocess.run([*words, *more], input=PASSWORD, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False)

    unnamed = add()
    assert unnamed.returncode == 2 and "There is no server in the directory" in unnamed.stderr and "--data data" in unnamed.stderr
    among_others = add("--data", ".")
    assert among_others.returncode == 2 and "such as photos" in among_others.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["photos"]
    begun = add("--data", "data")
    assert begun.returncode == 0 and "Created a new data directory" in begun.stderr
    assert "Created" not in pillarbox("account", "add", "ben@home.example", data=tmp_path / "data", password=PASSWORD).stderr


WEAK = ["1234", "short-1", "password", "Password1!", "11111111", "12345678", "qwertyuiop", "abababab", "ada@home.example"]


@pytest.mark.parametrize("weak", WEAK)
def test_every_route_refuses_a_weak_password(tmp_path: Path, weak: str) -> None:
    from appliance.accounts.passwords import check_strength
    from appliance.mail.errors import SetupError

    with pytest.raises(SetupError, match=r"The password|Many people"):
        check_strength(weak, "ada@home.example")
    if weak in ("1234", "password"):
        data = new_data(tmp_path / "data", "ada")
        for words in (("account", "add", "ben@home.example"), ("account", "password", "ada@home.example")):
            done = pillarbox(*words, data=data, password=weak, check=False)
            assert done.returncode == 2 and "assword" in done.stderr, words


def test_a_password_typed_on_a_terminal_is_asked_twice_and_not_shown(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")

    def typed(first: str, second: str) -> tuple[int, str]:
        main, side = pty.openpty()
        words = [*COMMAND, "account", "password", "ada@home.example", "--password-file", "-", "--data", str(data)]
        with subprocess.Popen(words, stdin=side, stdout=side, stderr=side, env=environment(), start_new_session=True) as process:
            os.close(side)
            shown, answers = b"", [(b"New password: ", first), (b"again: ", second)]
            try:
                while select.select([main], [], [], 30)[0] and (chunk := os.read(main, 4096)):
                    shown += chunk
                    if answers and shown.endswith(answers[0][0]):
                        os.write(main, answers.pop(0)[1].encode() + b"\n")
            except OSError:  # the other side is closed
                pass
            os.close(main)
            return process.wait(30), shown.decode()

    status, shown = typed("Fresh-Password-8", "Fresh-Password-8")
    assert status == 0 and "new password" in shown and "Fresh" not in shown
    status, shown = typed("Fresh-Password-8", "Fresh-Password-9")
    assert status == 2 and "differ" in shown and "Fresh" not in shown


def test_rename_to_the_same_address(tmp_path: Path) -> None:
    """No alias is made, and none is reported."""
    data = new_data(tmp_path / "data", "ada")
    same = pillarbox("account", "rename", "ada@home.example", "ada@home.example", data=data, check=False)
    assert same.returncode == 2 and "is the address already" in same.stderr
    other = pillarbox("account", "rename", "ada@home.example", "Ada@home.example", data=data)
    assert other.stdout == "ada@home.example is written Ada@home.example now.\n"
    assert pillarbox("alias", "list", data=data).stdout == "No aliases.\n"


def test_what_only_a_running_server_knows(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")
    asked = pillarbox("message", "track", "ada@home.example", "--json", data=data, check=False)
    assert asked.returncode == 3 and json.loads(asked.stdout)["exit_status"] == 3
