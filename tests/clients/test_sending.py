"""Programs that hand letters in: swaks, msmtp, curl, aiosmtplib."""

import asyncio
import subprocess
from email.message import EmailMessage

import aiosmtplib
import pytest

from tests.clients.conftest import ADA, BEN, HOST, Served, letter, own_part
from tests.support.house import PASSWORD
from tests.support.needs import program


def only(served: Served, person: str = ADA) -> bytes:
    (found,) = served.letters(person=person).values()
    return found[0]


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    served.empty()
    served.empty(person=BEN)


MINE = letter(1).replace(b"Friend <friend@elsewhere.example>", ADA.encode())
"""The same letter, from one of the house: a person sends only as themselves."""


def swaks(served: Served, *words: str, octets: bytes = letter(1)) -> "subprocess.CompletedProcess[str]":
    base = [
        program("swaks"),
        "--server",
        "127.0.0.1",
        "--helo",
        "client.example",
        "--suppress-data",
        "--data",
        octets.decode().removesuffix("\r\n"),
    ]
    return subprocess.run([*base, *words], capture_output=True, text=True, timeout=60, check=False)


def test_swaks_as_a_stranger(served: Served) -> None:
    done = swaks(served, "--port", str(served.smtp), "--from", "friend@elsewhere.example", "--to", ADA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert own_part(only(served)) == letter(1)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_signs_in_over_starttls(served: Served, mechanism: str) -> None:
    words = ("--tls", "--auth", mechanism, "--auth-user", ADA, "--auth-password", PASSWORD, "--from", ADA, "--to", BEN)
    done = swaks(served, "--port", str(served.submission), *words, octets=MINE)
    assert done.returncode == 0, done.stdout + done.stderr
    octets = only(served, BEN)
    assert b"with ESMTPSA" in octets
    assert own_part(octets) == MINE


def test_swaks_may_not_send_as_somebody_else(served: Served) -> None:
    words = ("--tls", "--auth", "PLAIN", "--auth-user", ADA, "--auth-password", PASSWORD, "--from", ADA, "--to", BEN)
    done = swaks(served, "--port", str(served.submission), *words)
    assert "553 5.7.1" in done.stdout
    assert not served.letters(person=BEN)


def test_swaks_is_refused_an_unknown_person_and_relay(served: Served) -> None:
    for to in ("nobody@home.example", "someone@outside.example"):
        done = swaks(served, "--port", str(served.smtp), "--from", "friend@elsewhere.example", "--to", to)
        assert done.returncode == 24, done.stdout
        assert "<** 55" in done.stdout
    assert not served.letters()


@pytest.mark.parametrize("auth", ["plain", "login", "scram-sha-256"])
@pytest.mark.parametrize("kind", ["submission", "submissions"])
def test_msmtp_verifies_and_signs_in(served: Served, auth: str, kind: str) -> None:
    words = [program("msmtp"), "--host=localhost", f"--port={getattr(served, kind)}", f"--auth={auth}", f"--user={ADA}", "--tls=on"]
    words += [f"--tls-starttls={'on' if kind == 'submission' else 'off'}", f"--tls-trust-file={served.authority}"]
    words += [f"--passwordeval=echo {PASSWORD}", f"--from={ADA}", BEN]
    mine = MINE
    done = subprocess.run(words, input=mine.replace(b"\r\n", b"\n"), capture_output=True, timeout=60, check=False)
    if b"not supported" in done.stderr and auth.startswith("scram"):
        pytest.skip("this msmtp is built without SCRAM")
    assert done.returncode == 0, done.stderr
    assert own_part(only(served, BEN)) == mine


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl(served: Served, scheme: str) -> None:
    port = served.submission if scheme == "smtp" else served.submissions
    mine = MINE
    words = [
        program("curl"),
        "-sS",
        "--ssl-reqd",
        "--cacert",
        str(served.authority),
        f"{scheme}://localhost:{port}",
        "-u",
        f"{ADA}:{PASSWORD}",
    ]
    words += ["--mail-from", ADA, "--mail-rcpt", BEN, "--mail-rcpt", ADA, "--upload-file", "-"]
    done = subprocess.run(words, input=mine, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert own_part(only(served, BEN)) == own_part(only(served)) == mine


def test_aiosmtplib_in_utf8_with_an_attachment(served: Served) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ADA, BEN, "Grüße"
    message.set_content("Schöne Grüße")
    message.add_attachment(bytes(range(256)) * 400, maintype="application", subtype="octet-stream", filename="größe.bin")
    message.set_boundary("between")

    async def send() -> None:
        smtp = aiosmtplib.SMTP(hostname=HOST, port=served.submission, start_tls=True, cert_bundle=str(served.authority))
        async with smtp:
            await smtp.login(ADA, PASSWORD)
            assert smtp.supports_extension("smtputf8")
            await smtp.send_message(message)

    asyncio.run(send())
    assert message.as_bytes().replace(b"\n", b"\r\n").strip() in only(served, BEN)
