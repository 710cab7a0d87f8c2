"""Mail out of the server and into it by a browser, over real sockets."""

import json
import socket
import zipfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from tests.support.https_client import FORM, HttpsClient
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox
from tests.support.wire import eventually, faults
from tests.web.browser import PROTOCOLS

PATIENCE_S = 60.0
"""As long as a busy machine may need."""
MESSAGE = b"Message-ID: <%d@x.example>\r\nSubject: %d\r\n\r\n" + b"body\r\n" * 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = new_data(tmp_path_factory.mktemp("transfer") / "data", "ada", "mary")
    source = data.parent / "Work.mbox"
    source.write_bytes(b"".join(b"From x@x.example Sun Sep  9 01:46:40 2001\n" + MESSAGE % (n, n) + b"\n" for n in range(30)))
    pillarbox("import", "ada@home.example", str(source), data=data)
    with Pillarbox(data, protocols=PROTOCOLS) as one:
        yield one
        assert not faults(one.log)


@pytest.fixture
def ada(server: Pillarbox) -> Iterator[HttpsClient]:
    with HttpsClient(server.ports["https"], pillarbox("certificate", "export", data=server.data).stdout) as client:
        client.sign_in("ada@home.example", PASSWORD)
        yield client


def test_all_mail_is_downloaded(ada: HttpsClient) -> None:
    status, fields, octets = ada.ask("GET", "/own/mail/export/mbox")
    assert status == 200 and "mbox.zip" in fields["content-disposition"] and fields["cache-control"] == "no-store"
    with zipfile.ZipFile(BytesIO(octets)) as archive:
        assert archive.namelist() == ["Work.mbox"] and archive.read("Work.mbox").count(b"\nSubject: ") == 30
    status, _, octets = ada.ask("GET", "/own/mail/export/maildir")
    with zipfile.ZipFile(BytesIO(octets)) as archive:
        assert sum("/cur/" in name and not name.endswith("/") for name in archive.namelist()) == 30
    status, fields, octets = ada.ask("GET", "/own/mail/export-mailbox?mailbox=Work")
    assert fields["content-type"] == "application/mbox" and octets.count(b"\nSubject: ") == 30
    assert ada.ask("GET", "/own/mail/export/tar")[0] == 404 and ada.ask("GET", "/own/mail/export-mailbox?mailbox=../x")[0] == 404
    assert ada.ask("HEAD", "/own/mail/export/mbox")[0] == 200 and ada.ask("GET", "/own/mail/export/mbox")[0] == 200


def test_nobody_else_gets_it(server: Pillarbox) -> None:
    with HttpsClient(server.ports["https"], pillarbox("certificate", "export", data=server.data).stdout) as stranger:
        status, fields, _ = stranger.ask("GET", "/own/mail/export/mbox")
        assert status == 303 and fields["location"].startswith("/sign-in")
        stranger.sign_in("mary@home.example", PASSWORD)
        status, _, octets = stranger.ask("GET", "/own/mail/export/mbox")
        with zipfile.ZipFile(BytesIO(octets)) as archive:
            assert archive.namelist() == []


def test_a_file_is_sent_in_parts_and_brought_in(server: Pillarbox, ada: HttpsClient) -> None:
    octets = b"".join(b"From x@x.example Sun Sep  9 01:46:40 2001\n" + MESSAGE % (n, n) + b"\n" for n in range(25, 60))
    ada.ask("GET", "/own/mail")
    token = {"x_form_token": ada.token}
    begin = f"name=Work.mbox&octets={len(octets)}&stamp=1"
    status, _, answer = ada.ask("POST", "/own/mail/import/begin", begin, content_type=FORM, **token)
    assert status == 201
    place = json.loads(answer)["place"]
    assert ada.ask("POST", "/own/mail/import/begin", begin, content_type=FORM)[0] == 403, "no token"
    status, fields, _ = ada.ask("PATCH", place, octets[:5000], upload_offset="0", **token)
    assert status == 200 and fields["upload-offset"] == "5000"
    status, fields, _ = ada.ask("PATCH", place, octets[:10], upload_offset="0", **token)
    assert status == 409 and fields["upload-offset"] == "5000" and fields["content-type"] == "application/problem+json"
    broken = cut_off(ada, place, octets)
    assert eventually(lambda: ada.ask("HEAD", place)[1]["upload-offset"] == "9000", PATIENCE_S)
    broken.close()
    assert b"Choose the same file again to go on" in ada.ask("GET", "/own/mail")[2]
    assert json.loads(ada.ask("POST", "/own/mail/import/begin", begin, content_type=FORM, **token)[2])["offset"] == 9000
    status, _, answer = ada.ask("PATCH", place, octets[9000:], upload_offset="9000", **token)
    assert json.loads(answer)["state"] == "received"
    assert b"Bring it in" in ada.ask("GET", "/own/mail")[2]
    assert ada.post("/own/mail/import/start", where="own")[0] == 303
    assert eventually(lambda: json.loads(ada.ask("GET", place)[2])["state"] == "done", PATIENCE_S)
    facts = json.loads(ada.ask("GET", place)[2])
    assert (facts["stored"], facts["doubled"], facts["left_out"]) == (30, 5, 0)
    page = ada.ask("GET", "/own/mail")[2]
    assert b"is in." in page and ada.post("/own/mail/import/discard")[0] == 303 and ada.ask("GET", place)[0] == 404


def cut_off(ada: HttpsClient, place: str, octets: bytes) -> socket.socket:
    """A connection that ends in the middle of a part: half closed, since a reset could overtake the octets before it."""
    ada.connection.putrequest("PATCH", place)
    cookies = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    for name, value in (("Cookie", cookies), ("X-Form-Token", ada.token), ("Upload-Offset", "5000"), ("Content-Length", "100000")):
        ada.connection.putheader(name, value)
    ada.connection.endheaders(octets[5000:9000])
    broken: socket.socket = ada.connection.sock
    broken.shutdown(socket.SHUT_WR)
    ada.connection.sock = None  # kept open; the next request has a connection of its own
    ada.connection.close()
    return broken


def test_a_form_without_scripts_sends_a_file(server: Pillarbox, ada: HttpsClient) -> None:
    ada.ask("GET", "/own/mail")
    form = {"content_type": "multipart/form-data; boundary=XX", "accept": "text/html"}

    def body(token: str, name: str, octets: bytes) -> bytes:
        file = f'--XX\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        return (
            b'--XX\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + token.encode() + b"\r\n" + file + octets + b"\r\n--XX--\r\n"
        )

    assert ada.ask("POST", "/own/mail/import", body("wrong", "a.eml", b"Subject: x\n\nx\n"), **form)[0] == 403
    assert ada.ask("POST", "/own/mail/import", body(ada.token, "", b""), **form)[0] == 422
    status, _, page = ada.ask("POST", "/own/mail/import", body(ada.token, "cat.png", b"\x89PNG\r\n\x1a\n"), **form)
    assert status == 422 and b"neither an mbox file" in page
    ada.ask("GET", "/own/mail")
    foreign = {**form, "origin": "https://evil.example"}
    assert ada.ask("POST", "/own/mail/import", body(ada.token, "a.eml", b"Subject: x\n\nx\n"), **foreign)[0] == 403
    assert ada.ask("POST", "/own/mail/import", body(ada.token, "a.eml", b"Subject: x\n\nx\n"), **form)[0] == 303
    assert b"a.eml is here" in ada.ask("GET", "/own/mail")[2]
    assert ada.post("/own/mail/import/start", where="one", mailbox="Old")[0] == 303
    assert eventually(lambda: b"is in." in ada.ask("GET", "/own/mail")[2], PATIENCE_S)
    assert ada.ask("GET", "/own/mail/export-mailbox?mailbox=Old")[2].count(b"\nSubject: x") == 1
