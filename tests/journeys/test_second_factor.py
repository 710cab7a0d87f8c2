"""An account with a second factor on a running server: its own password opens no mail program, and the refusal says what does."""

import base64
import json
import poplib
import re
import smtplib
import ssl
import urllib.error
import urllib.request
from imaplib import IMAP4
from pathlib import Path

import pytest
import trio

from appliance.accounts.second_factor import new_secret
from appliance.accounts.totp import code_of, step_of
from appliance.control.client import RemoteControl
from appliance.control.requests import EnableSecondFactor, Request
from appliance.runtime.clock import RealClock
from tests.support.server import PASSWORD, Pillarbox, new_data, on_terminal, pillarbox

ADA = "ada@home.example"
WORDS = "this account has a second factor: make a password for this device"


def imap(server: Pillarbox, password: str) -> str:
    """Nothing when it opens the mailboxes, else what the server says."""
    with IMAP4("127.0.0.1", server.ports["imap"]) as client:
        try:
            client.login(ADA, password)
        except IMAP4.error as refusal:
            return str(refusal)
    return ""


def pop3(server: Pillarbox, password: str) -> str:
    client = poplib.POP3("127.0.0.1", server.ports["pop3"])
    try:
        client.user(ADA)
        client.pass_(password)
    except poplib.error_proto as refusal:
        return str(refusal)
    finally:
        client.close()
    return ""


def smtp(server: Pillarbox, password: str) -> str:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as client:
        try:
            client.login(ADA, password)
        except smtplib.SMTPAuthenticationError as refusal:
            assert refusal.smtp_code == 534
            return str(refusal.smtp_error)
    return ""


def jmap(server: Pillarbox, password: str) -> str:
    """Over TLS that the test need not trust: the server is on this machine."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    credentials = base64.b64encode(f"{ADA}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"https://localhost:{server.ports['https']}/jmap/session", headers={"Authorization": f"Basic {credentials}"}
    )
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            assert json.load(answer)["username"] == ADA
    except urllib.error.HTTPError as refusal:
        assert refusal.code == 401
        return json.load(refusal)["detail"]  # type: ignore[no-any-return]
    return ""


def asked(data: Path, request: Request) -> dict[str, object]:
    return trio.run(RemoteControl(data).ask, request).facts


def test_mail_programs_need_a_password_of_their_own(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data, protocols=("submission", "imap", "pop3", "https")) as server:
        opened = IMAP4("127.0.0.1", server.ports["imap"])
        opened.login(ADA, PASSWORD)
        device = re.search(r"Password: (\S+)", on_terminal("app-password", "add", ADA, "phone", data=data))
        assert device is not None
        secret = new_secret()
        code = code_of(secret, step_of(RealClock().wall_s()))
        assert asked(data, EnableSecondFactor(ADA, secret.hex(), code))["sessions_ended"] == 1
        with pytest.raises(IMAP4.abort):
            opened.noop()
        opened.shutdown()
        for sign_in in (imap, pop3, smtp, jmap):
            assert WORDS in sign_in(server, PASSWORD), sign_in.__name__
            assert sign_in(server, device[1]) == ""
        assert "second factor" not in imap(server, "wrong"), "who does not know the password learns nothing"
        with IMAP4("127.0.0.1", server.ports["imap"]) as client:
            client.login(ADA, device[1])
            assert client.select("INBOX")[1] == [b"1"], "the owner is told"
        pillarbox("account", "remove-second-factor", ADA, data=data)
        assert imap(server, PASSWORD) == ""
        with IMAP4("127.0.0.1", server.ports["imap"]) as client:
            client.login(ADA, PASSWORD)
            assert client.select("INBOX")[1] == [b"2"]
