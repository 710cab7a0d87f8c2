"""The certificate commands on running servers: the authority that devices trust stays until a new one is requested."""

import json
import os
import pty
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.server import COMMAND, ROOT, Pillarbox, environment, new_data, pillarbox


def served(port: int, trusted: str, name: str = "localhost") -> bytes:
    """The certificate shown to a client that trusts the authority `trusted`; raises SSLCertVerificationError."""
    context = ssl.create_default_context(cadata=trusted)
    with socket.create_connection(("127.0.0.1", port), 30) as below, context.wrap_socket(below, server_hostname=name) as stream:
        return stream.getpeercert(binary_form=True) or b""


def conditions(data: Path) -> dict[str, str]:
    facts = json.loads(pillarbox("status", "--json", data=data).stdout)
    return {one["key"]: one["sentence"] for one in facts["conditions"]}


def test_the_authority_stays_through_domains_renewals_and_restarts(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data, protocols=("imaps",)) as pillarbox_server:
        trusted = pillarbox("certificate", "export", data=data).stdout
        first = served(pillarbox_server.ports["imaps"], trusted)
        said = pillarbox("domain", "add", "other.example", data=data).stdout
        assert "does not name other.example" in said and "certificate new-authority" in said
        said = pillarbox("certificate", "renew", data=data).stdout
        assert "does not name other.example" in said
        assert served(pillarbox_server.ports["imaps"], trusted) != first
        assert "other.example" in conditions(data)["certificate-names"]
        assert "other.example" in pillarbox("status", data=data).stdout
        pillarbox("domain", "remove", "other.example", data=data)
        assert any("certificate-names" not in conditions(data) for _ in range(20)), "it ends with the domain, not an hour later"
    with Pillarbox(data, protocols=("imaps",), domain="third.example") as pillarbox_server:
        served(pillarbox_server.ports["imaps"], trusted)
        assert "third.example" in conditions(data)["certificate-names"]
        assert "third.example" in pillarbox_server.log.read_text()
        done = pillarbox("certificate", "new-authority", data=data, check=False)
        assert done.returncode == 2 and "--yes" in done.stderr and "Traceback" not in done.stderr
        served(pillarbox_server.ports["imaps"], trusted)
        assert "Until a device trusts it" in pillarbox("certificate", "new-authority", "--yes", data=data).stdout
        with pytest.raises(ssl.SSLCertVerificationError):
            served(pillarbox_server.ports["imaps"], trusted)
        assert conditions(data).keys() >= {"authority-new"} and "certificate-names" not in conditions(data)
        served(pillarbox_server.ports["imaps"], pillarbox("certificate", "export", data=data).stdout, "mail.third.example")
        assert "authority-new" not in conditions(data)


@pytest.mark.parametrize(("answer", "made"), [(b"no\n", False), (b"\n", False), (b"yes\n", True)])
def test_a_new_authority_is_made_after_a_yes(tmp_path: Path, answer: bytes, made: bool) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data, protocols=("imaps",)):
        before = pillarbox("certificate", "export", data=data).stdout
        main, side = pty.openpty()
        try:
            os.write(main, answer)
            words = [*COMMAND, "certificate", "new-authority", "--data", str(data)]
            done = subprocess.run(words, stdin=side, capture_output=True, text=True, env=environment(), timeout=60, cwd=ROOT, check=False)
        finally:
            os.close(main)
            os.close(side)
        assert "Type yes" in done.stderr and "until it trusts" in done.stderr
        assert (done.returncode == 0) is made and ("Nothing was done." in done.stderr) is not made
        assert (pillarbox("certificate", "export", data=data).stdout != before) is made


def test_a_certificate_of_ones_own_that_is_not_usable_keeps_no_server_shut(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    own = make_certificates(tmp_path / "own")
    pem = own.server.read_text()
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    key.write_text(make_certificates(tmp_path / "other").server.read_text())
    with Pillarbox(data, "--certificate", str(certificate), "--key", str(key), protocols=("imaps",)) as pillarbox_server:
        reported = conditions(data)["certificate-error"]
        assert "own.key is not the key of" in reported and "one of its own" in reported
        assert "is not the key of" in pillarbox_server.log.read_text()
        served(pillarbox_server.ports["imaps"], pillarbox("certificate", "export", data=data).stdout)
        key.write_text(pem[: pem.index("-----BEGIN CERTIFICATE")])
        os.kill(pillarbox_server.pid, 1)  # SIGHUP: look now
        shown = pillarbox("certificate", "show", data=data).stdout
        assert str(certificate) in shown and "authority" not in shown
        fingerprint = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
        assert served(pillarbox_server.ports["imaps"], own.authority_pem) == fingerprint and "certificate-error" not in conditions(data)
        done = pillarbox("certificate", "renew", data=data, check=False)
        assert done.returncode == 2 and str(certificate) in done.stderr and "without a restart" in done.stderr
    assert "not running" in pillarbox("certificate", "show", data=data).stdout


def test_own_files_that_are_ruined_are_made_again(tmp_path: Path) -> None:
    """The server's own certificate without its key, as a card leaves it, is no reason to stay shut."""
    data = new_data(tmp_path / "data")
    with Pillarbox(data, protocols=("imaps",)):
        trusted = pillarbox("certificate", "export", data=data).stdout
    server = data / "certificates" / "server.pem"
    server.write_text(server.read_text().partition("-----BEGIN CERTIFICATE")[1] + server.read_text().partition("-----BEGIN CERTIFICATE")[2])
    with Pillarbox(data, protocols=("imaps",)) as pillarbox_server:
        served(pillarbox_server.ports["imaps"], trusted)
