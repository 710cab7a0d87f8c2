"""Exports as a stream: read by other programs, and in again without a difference."""

import mailbox as mailboxes
import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from appliance.store.store import Store
from appliance.store.transfer import export, import_into
from appliance.store.values import Placement
from appliance.store.zip_export import Form, mbox, zipped

from .server import ANN, BEN, a_server, put
from .test_transfer import octets_of

NAMES = ("INBOX", "Größe/日本語", "a/b", "A/B", "con?:|", "日" * 300, "...")
BODY = b"Status: RO\r\nX-Status: F\r\nSubject: a\r\n\r\nFrom here\r\n>From there\r\n.\r\n"
FLAGS = ("\\Seen", "\\Flagged", "$Work", "\\Answered")


async def filled(store: Store) -> None:
    for number, name in enumerate(NAMES):
        if name not in ("INBOX",):
            await store.create(ANN, name)
        place = Placement((await store.find(ANN, name)).id, b"", FLAGS if number % 2 else (), 1_000_000_000 + number)
        await put(store, place, octets=BODY + b"%d\r\n" % number)


async def all_of(store: Store, account: object = ANN) -> dict[tuple[str, bytes], tuple[tuple[str, ...], int]]:
    found = {}
    async for message, chunks in export(store, account):  # type: ignore[arg-type]
        octets = b"".join([chunk async for chunk in chunks])
        found[message.mailbox, octets] = (tuple(sorted(message.flags)), message.internal_at)
    return found


@pytest.mark.parametrize("form", ["mbox", "maildir"])
async def test_all_mail_comes_back_with_mailboxes_flags_and_dates(tmp_path: Path, form: Form) -> None:
    async with a_server(tmp_path) as store:
        await filled(store)
        octets = b"".join([chunk async for chunk in zipped(export(store, ANN), form, BytesIO, 1_700_000_000)])
        with zipfile.ZipFile(BytesIO(octets)) as archive:
            assert archive.testzip() is None
            names = [one.filename for one in archive.infolist()]
            assert len({name.casefold() for name in names}) == len(names)
            assert not [name for name in names if name.startswith("/") or ".." in name.split("/") or "\\" in name]
            archive.extractall(tmp_path / "out")
        place = tmp_path / "out" / ("Maildir" if form == "maildir" else "")
        if form == "maildir":
            assert len(mailboxes.Maildir(place)) == 1
            for name in archive.namelist():  # extractall keeps no dates, other programs do
                if "/cur/1" in name:
                    at = int(name.rpartition("/")[2].split(".")[0])
                    os.utime(tmp_path / "out" / name, (at, at))
        async for _ in import_into(store, BEN, place):
            pass
        before, after = await all_of(store), await all_of(store, BEN)
        same = {key for key in after if "~" not in key[0]}  # too long, or alike but for case: as another name
        assert len(same) == len(NAMES) - 2 and {key: after[key] for key in same} == {key: before[key] for key in same}
        assert {key[1]: value for key, value in after.items()} == {key[1]: value for key, value in before.items()}


async def test_one_mailbox_is_one_mbox_file(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await filled(store)
        (tmp_path / "one.mbox").write_bytes(b"".join([chunk async for chunk in mbox(export(store, ANN, "a/b"))]))
        assert len(mailboxes.mbox(tmp_path / "one.mbox")) == 1
        async for _ in import_into(store, BEN, tmp_path / "one.mbox", "INBOX"):
            pass
        assert await octets_of(store, "a/b") == [BODY + b"2\r\n"]
        assert [key[1] for key in await all_of(store, BEN)] == [BODY + b"2\r\n"]
