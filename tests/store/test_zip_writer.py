"""ZIP archives as other programs read them."""

import zipfile
from io import BytesIO
from pathlib import Path

from appliance.store.zip_writer import ZipWriter

AT = 1_000_000_000


def written(writer: ZipWriter) -> None:
    for _ in writer.close():
        pass


def test_entries_come_back_with_names_dates_and_checksums() -> None:
    out = BytesIO()
    writer = ZipWriter(out.write, BytesIO())
    contents = {"Привет/日本.mbox": b"From \r\n" * 50_000, "empty": b"", "Maildir/cur/1:2,S": b"\x00\xff" * 10}
    for name, octets in contents.items():
        writer.begin(name, AT, large=name.endswith(".mbox"))
        for at in range(0, len(octets), 30_000):
            writer.write(octets[at : at + 30_000])
        writer.end()
    writer.folder("Maildir/new/", AT)
    written(writer)
    with zipfile.ZipFile(BytesIO(out.getvalue())) as found:
        assert found.testzip() is None
        assert {one.filename: found.read(one) for one in found.infolist()} == contents | {"Maildir/new/": b""}
        assert all(one.date_time == (2001, 9, 9, 1, 46, 40) and one.flag_bits & 0x800 for one in found.infolist())


def test_more_than_65535_entries(tmp_path: Path) -> None:
    with (tmp_path / "many.zip").open("wb") as file:
        waiting = BytesIO()
        writer = ZipWriter(file.write, waiting)
        for number in range(66_000):
            writer.folder(f"{number}/", AT)
        written(writer)
    with zipfile.ZipFile(tmp_path / "many.zip") as found:
        assert len(found.infolist()) == 66_000 and found.infolist()[-1].filename == "65999/"
    assert len(waiting.getvalue()) < 66_000 * 24, "what waits for the end stays small"


def test_entries_beyond_4_gib(tmp_path: Path) -> None:
    with (tmp_path / "large.zip").open("wb") as file:
        writer = ZipWriter(file.write, BytesIO())
        writer._at = 5 * 2**30
        file.seek(writer._at)  # a hole instead of other entries
        writer.begin("a.mbox", AT, large=True)
        writer.write(b"here")
        writer.end()
        written(writer)
    with zipfile.ZipFile(tmp_path / "large.zip") as found:
        assert found.infolist()[0].header_offset == 5 * 2**30 and found.read("a.mbox") == b"here"
