"""Mail out of the server and into it by a browser, over real sockets."""

import zipfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from tests.support.https_client import HttpsClient
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox
from tests.support.wire import faults
from tests.web.browser import PROTOCOLS

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


def test_all_mail_is_downloaded_while_another_download_waits(ada: HttpsClient) -> None:
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
