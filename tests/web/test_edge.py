"""The http and https listeners over real sockets: curl, clients that speak something else, and what never crosses plain http."""

import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.needs import program
from tests.support.server import Pillarbox, new_data, pillarbox
from tests.support.wire import faults
from tests.web.browser import PROTOCOLS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("edge") / "data"), protocols=PROTOCOLS) as one:
        (one.data.parent / "ca.pem").write_text(pillarbox("certificate", "export", data=one.data).stdout)
        yield one
        assert not faults(one.log)


def curl(server: Pillarbox, *words: str, scheme: str = "https", path: str = "/") -> str:
    """Head and body of the response."""
    address = f"{scheme}://localhost:{server.ports[scheme]}{path}"
    arguments = [program("curl"), "-s", "-i", "--path-as-is", "--max-time", "20", "--cacert", str(server.data.parent / "ca.pem")]
    return subprocess.run([*arguments, *words, address], capture_output=True, text=True, check=True, timeout=30).stdout


def say(port: int, octets: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """All that the server says to these octets until it closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        sock = context.wrap_socket(plain) if context else plain
        sock.sendall(octets)
        sock.settimeout(5)
        said = b""
        try:
            while more := sock.recv(65536):
                said += more
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
        return said


def test_curl_trusts_the_own_authority_and_sees_the_sign_in(server: Pillarbox) -> None:
    assert curl(server).startswith("HTTP/1.1 303") and "location: /sign-in" in curl(server)
    page = curl(server, path="/sign-in")
    assert page.startswith("HTTP/1.1 200") and "__Host-form=" in page and "Date:" in page.title()
    assert curl(server, "-I", path="/sign-in").endswith("\n\n") or "<html" not in curl(server, "-I", path="/sign-in")
    assert curl(server, "-H", "Range: bytes=0-9", path="/robots.txt").startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fsecurity.py", "/static/%00", "/a//b"]
)
def test_no_path_leads_out(server: Pillarbox, path: str) -> None:
    said = curl(server, path=path)
    assert said.startswith(("HTTP/1.1 400", "HTTP/1.1 404")) and "root:" not in said and "def " not in said


def test_plain_http_redirects_and_takes_no_password(server: Pillarbox) -> None:
    assert f"location: https://localhost:{server.ports['https']}/own/" in curl(server, scheme="http", path="/own/")
    refused = curl(server, "-d", "name=ada&password=secret", scheme="http", path="/sign-in")
    assert refused.startswith("HTTP/1.1 403") and "\nlocation:" not in refused
    trust = curl(server, scheme="http")
    assert "fingerprint" in trust and "<form" not in trust and "cookie" not in trust.lower()
    assert "BEGIN CERTIFICATE" in curl(server, scheme="http", path="/trust/pillarbox.crt")
    assert "PRIVATE" not in curl(server, scheme="http", path="/trust/pillarbox.crt")
    assert "<clientConfig" in curl(server, scheme="http", path="/mail/config-v1.1.xml?emailaddress=ada@home.example")


def test_other_protocols_get_a_short_refusal(server: Pillarbox) -> None:
    port = server.ports["http"]
    assert say(port, b"EHLO client.example\r\n").startswith(b"HTTP/1.1 400")
    assert say(port, b"\x16\x03\x01\x00\xa5\x01\x00\x00").startswith(b"HTTP/1.1 400")
    assert say(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 505")
    assert b"HTTP" not in say(server.ports["https"], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "no plain answer on the TLS port"


def test_a_smuggled_request_is_not_answered(server: Pillarbox) -> None:
    inner = b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length, coding = b"Content-Length: 6", b"Transfer-Encoding: chunked"
    for head in (length + b"\r\n" + coding, coding + b"\r\n" + length, length + b"\nX: y"):
        said = say(server.ports["http"], b"POST / HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n0\r\n\r\n" + inner)
        assert said.startswith(b"HTTP/1.1 400") and said.count(b"HTTP/1.1 ") == 1
