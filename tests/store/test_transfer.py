"""Archives in and out: nothing lost, nothing doubled, wherever an import is broken off."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.control.requests import Letter
from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.store.mailbox import Store, Want
from appliance.store.maildir import MaildirWriter, files, folders
from appliance.store.mbox import MboxWriter
from appliance.store.transfer import IMPORTED, ImportSession, export, import_into, letters_of

from .server import ANN, a_house, deliver

LETTERS = [b"Subject: %d\r\n\r\nbody %d\r\nFrom the heart\r\n" % (n, n) * (n % 3 + 1) for n in range(20)]


def an_mbox(path: Path, letters: list[bytes]) -> Path:
    with path.open("wb") as file:
        writer = MboxWriter(file)
        for letter in letters:
            writer.begin(1_000_000_000)
            writer.write(letter)
            writer.end()
    return path


def a_maildir(path: Path, letters: list[bytes], mailbox: str = "INBOX", flags: tuple[str, ...] = ()) -> Path:
    writer = MaildirWriter(path)
    for number, letter in enumerate(letters):
        writer.begin(mailbox, flags, 1_000_000_000 + number)
        for at in range(0, len(letter), 7):
            writer.write(letter[at : at + 7])
        writer.end()
    return path


async def octets_of(store: Store, mailbox: str = "INBOX") -> list[bytes]:
    box = await store.open(ANN, mailbox)
    letters = [await box.open_message(uid) for uid in box.uids]  # type: ignore[arg-type]
    box.close()
    return [await letter.read(0, letter.octets) for letter in letters]


def read(path: Path, position: str = "") -> list[tuple[Letter, bytes]]:
    return [(letter, b"".join(pieces)) for letter, pieces in letters_of(path, position)]


async def each(octets: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), 10):
        yield octets[at : at + 10]


@pytest.mark.parametrize("make", [an_mbox, a_maildir])
async def test_in_and_out_again(tmp_path: Path, make: object) -> None:
    source = make(tmp_path / "archive", LETTERS)  # type: ignore[operator]
    async with a_house(tmp_path) as store:
        told = [counts async for counts in import_into(store, ANN, source, "Old/Mail")]
        assert told[-1] == (20, 0)
        assert await octets_of(store, "Old/Mail") == LETTERS
        out = [(letter, b"".join([piece async for piece in pieces])) async for letter, pieces in export(store, ANN, "Old/Mail")]
        assert [octets for _, octets in out] == LETTERS
        assert {letter.mailbox for letter, _ in out} == {"Old/Mail"}


@pytest.mark.parametrize("together", [1, 7])
@pytest.mark.parametrize("make", [an_mbox, a_maildir])
async def test_broken_off_and_begun_again(tmp_path: Path, make: object, together: int) -> None:
    source = make(tmp_path / "archive", LETTERS)  # type: ignore[operator]
    for stop in (3, 1, 9, 100):
        async with a_house(tmp_path) as store:
            done = 0
            progress = import_into(store, ANN, source, "Old", together=together)
            async for _ in progress:
                done += 1
                if done == stop:
                    break
            await progress.aclose()  # type: ignore[attr-defined]
    async with a_house(tmp_path) as store:
        assert await octets_of(store, "Old") == LETTERS
        assert [one async for one in import_into(store, ANN, source, "Old")] == []


async def test_position_and_letter_are_one_commit(tmp_path: Path) -> None:
    async with a_house(tmp_path, quota=lambda _: 100) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here")
        assert await session.take(Letter("INBOX", (), 5, "one"), each(b"A: 1\r\n\r\n"))
        with pytest.raises(StoreError) as refused:
            await session.take(Letter("INBOX", (), 5, "two"), each(b"x" * 200))
        assert refused.value.trouble is Trouble.OVER_QUOTA
        await session.aclose()
        assert (await ImportSession.begin(store.database, store, ANN, "here")).position == "one"
        assert (await ImportSession.begin(store.database, store, ANN, "elsewhere")).position == ""
        assert await octets_of(store) == [b"A: 1\r\n\r\n"]


async def test_what_fits_of_a_batch_is_taken_before_a_full_mailbox_is_told(tmp_path: Path) -> None:
    source = a_maildir(tmp_path / "archive", [b"A: %d\r\n\r\n" % number + b"x" * 93 for number in range(9)])
    async with a_house(tmp_path, quota=lambda _: 350) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here", together=100)
        for letter, pieces in letters_of(source):
            assert await session.take(letter, each(b"".join(pieces)))
        with pytest.raises(StoreError) as refused:
            await session.finish()
        assert refused.value.trouble is Trouble.OVER_QUOTA and session.stored == 3
        await session.aclose()
        assert len(await octets_of(store)) == 3
        again = await ImportSession.begin(store.database, store, ANN, "here")
        assert [letter.position for letter, _ in letters_of(source)].index(again.position) == 2


async def test_a_source_that_cannot_be_read_on_leaves_the_message_out(tmp_path: Path) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"A: 1\r\n\r\nhalf of"
        raise OSError(5, "Input/output error")

    async with a_house(tmp_path) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here", together=10)
        assert await session.take(Letter("INBOX", (), 5, "1"), each(b"A: 1\r\n\r\n"))
        assert not await session.take(Letter("INBOX", (), 5, "2"), torn())
        assert await session.take(Letter("INBOX", (), 5, "3"), each(b"A: 3\r\n\r\n"))
        await session.finish()
        assert await octets_of(store) == [b"A: 1\r\n\r\n", b"A: 3\r\n\r\n"] and session.stored == 2


async def test_folders_without_a_message_become_mailboxes_and_all_are_subscribed(tmp_path: Path) -> None:
    root = a_maildir(tmp_path / "Mail", LETTERS[:1], "Old")
    (root / ".Empty" / "cur").mkdir(parents=True)
    (root / ".Bad*Name" / "cur").mkdir(parents=True)
    async with a_house(tmp_path) as store:
        await store.subscribe(ANN, "Sent", False)
        assert [one async for one in import_into(store, ANN, root)][-1] == (1, 0)
        found = {info.name: info.subscribed for info in await store.list(ANN)}
        assert found["Old"] and found["Empty"] and not found["Sent"] and IMPORTED not in found


async def test_too_large_is_left_out_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.store.transfer.MESSAGE_OCTETS", 1000)
    source = an_mbox(tmp_path / "archive.mbox", [LETTERS[0], b"A: b\r\n" * 1000, LETTERS[1]])
    async with a_house(tmp_path) as store:
        told = [counts async for counts in import_into(store, ANN, source, "Old", together=4)]
        assert told == [(1, 0), (1, 1), (2, 1)]
        assert await octets_of(store, "Old") == LETTERS[:2]


async def test_flags_dates_and_folders_of_a_maildir(tmp_path: Path) -> None:
    root = a_maildir(tmp_path / "Mail", LETTERS[:1])
    a_maildir(root, LETTERS[1:2], "Grüße/2020.old", ("\\Seen", "\\Flagged", "$Work", "$Forwarded"))
    a_maildir(root / "nested", LETTERS[2:3])
    (root / "new" / "999.x").write_bytes(b"A: new\n\nlf\n")
    (root / "tmp" / "1.half").write_bytes(b"no")
    async with a_house(tmp_path) as store:
        assert [one async for one in import_into(store, ANN, root)][-1] == (4, 0)
        assert sorted(await octets_of(store)) == sorted([LETTERS[0], b"A: new\r\n\r\nlf\r\n"])
        assert await octets_of(store, "nested") == [LETTERS[2]]
        assert await octets_of(store, "Grüße/2020.old") == [LETTERS[1]]
        [(letter, _)] = [found async for found in export(store, ANN, "Grüße/2020.old")]
        assert set(letter.flags) == {"\\Seen", "\\Flagged", "$Work", "$Forwarded"}
        assert letter.internal_at == 1_000_000_000


def test_a_maildir_comes_back_as_it_was_written(tmp_path: Path) -> None:
    a_maildir(tmp_path, [b"a\r\r\n\rb\r\n\r\n", b"", b"no end", b"x\r"], "A", ("k1", "\\Deleted", "\\Recent"))
    assert [octets for _, octets in read(tmp_path)] == [b"a\r\r\n\rb\r\n\r\n", b"", b"no end", b"x\r"]
    assert {letter.flags for letter, _ in read(tmp_path)} == {("\\Deleted", "k1")}
    assert not list((tmp_path / ".A" / "tmp").iterdir())


def test_maildir_names_are_taken_in_order_and_go_on_after_a_position(tmp_path: Path) -> None:
    for part, name in (("cur", "3.c:2,S"), ("new", "2.b"), ("cur", "1.a:2,"), ("cur", ".hidden")):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / name).write_bytes(name.encode())
    [folder] = folders(tmp_path)
    assert [path.name for path in files(folder)] == ["1.a:2,", "2.b", "3.c:2,S"]
    os.rename(tmp_path / "new" / "2.b", tmp_path / "cur" / "2.b:2,F")
    assert [octets for _, octets in read(tmp_path, "INBOX\n2.b")] == [b"3.c:2,S"]


def test_long_and_odd_folder_names(tmp_path: Path) -> None:
    writer = MaildirWriter(tmp_path)
    for name in ("a" * 900, "a" * 899 + "b", "& b/..c/~", "ünï/" * 30 + "x"):
        writer.begin(name, (), 5)
        writer.end()
    names = {folder.mailbox for folder in folders(tmp_path)}
    assert len(names) == 4
    assert "& b/..c/~" in names


def test_folders_of_mbox_files(tmp_path: Path) -> None:
    (tmp_path / "Local.sbd").mkdir()
    (tmp_path / "Apple.mbox").mkdir()
    an_mbox(tmp_path / "Inbox", LETTERS[:2])
    an_mbox(tmp_path / "Local.sbd" / "Work.mbox", LETTERS[2:4])
    an_mbox(tmp_path / "Apple.mbox" / "mbox", LETTERS[4:5])
    (tmp_path / "Inbox.msf").write_bytes(b"// not mail")
    found = read(tmp_path)
    assert sorted((letter.mailbox, octets) for letter, octets in found) == sorted(
        [("Inbox", LETTERS[0]), ("Inbox", LETTERS[1]), ("Local/Work", LETTERS[2]), ("Local/Work", LETTERS[3]), ("Apple", LETTERS[4])]
    )
    for done, (letter, _) in enumerate(found, 1):
        assert [octets for _, octets in read(tmp_path, letter.position)] == [octets for _, octets in found[done:]]


async def test_a_name_no_mailbox_can_have(tmp_path: Path) -> None:
    async with a_house(tmp_path) as store:
        session = await ImportSession.begin(store.database, store, ANN, "here")
        assert await session.take(Letter("a\x00b", (), 5, "1"), each(b"A: 1\r\n\r\n"))
        assert await octets_of(store, IMPORTED) == [b"A: 1\r\n\r\n"]


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "letter.eml").write_bytes(b"Subject: x\n\n")
    for name, position in (("nothing", ""), ("letter.eml", "")):
        with pytest.raises(SetupError):
            read(tmp_path / name, position)
    path = an_mbox(tmp_path / "a.mbox", LETTERS[:2])
    with pytest.raises(SetupError, match="has changed"):
        read(path, "7")
    assert read(path, str(path.stat().st_size)) == []
    an_mbox(path, LETTERS[:3])
    assert [octets for _, octets in read(path, read(path)[1][0].position)] == [LETTERS[2]]


async def test_export_of_everything_and_of_nothing(tmp_path: Path) -> None:
    async with a_house(tmp_path) as store:
        await deliver(store, octets=b"A: 1\r\n\r\n" + b"x" * 500_000, flags=("\\Seen",))
        await deliver(store, mailbox="Sent")
        found = [(letter, b"".join([piece async for piece in pieces])) async for letter, pieces in export(store, ANN)]
        assert [(letter.mailbox, letter.flags) for letter, _ in found] == [("INBOX", ("\\Seen",)), ("Sent", ())]
        assert found[0][1] == b"P: 1\r\nA: 1\r\n\r\n" + b"x" * 500_000
        with pytest.raises(SetupError):
            [one async for one in export(store, ANN, "Nowhere")]
        box = await store.open(ANN, "INBOX")
        assert (await box.rows(box.info.uid_next, box.info.uid_next, Want.FLAGS)) == []
        box.close()


