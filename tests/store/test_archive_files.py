"""Archives of other users, changed while they are read: no link is followed, nothing ends an import half way."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mail.errors import SetupError
from appliance.store import archive_files, maildir
from appliance.store.archive_files import PassedOver
from appliance.store.archives import mailboxes_of, messages_of
from appliance.store.export_names import ExportNames, unescaped
from appliance.store.maildir import flags_of, unique

SECRET = b"From: root\n\nthe secret\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "secret"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Maildir with one message."""
    made = tmp_path / "Maildir"
    for part in ("cur", "new", "tmp"):
        (made / part).mkdir(parents=True)
    (made / "cur" / "5.good:2,S").write_bytes(b"A: good\n\n")
    return made


def taken(path: Path, position: str = "") -> tuple[list[bytes], PassedOver]:
    passed = PassedOver()
    return [b"".join(chunks) for _, chunks in messages_of(path, position, passed=passed)], passed


def test_links_in_a_maildir_are_passed_over_and_counted(root: Path, secret: Path) -> None:
    (root / "cur" / "1.link:2,").symlink_to(secret)
    (root / "new" / "9.link").symlink_to(secret)
    (root / "new" / "9.nowhere").symlink_to("/nowhere")
    (root / ".Linked").symlink_to(secret.parent)
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"]
    assert passed.count == 4 and "symbolic link" in passed.first


@pytest.mark.parametrize("part", ["cur", "new"])
def test_a_linked_cur_or_new_is_not_read(root: Path, tmp_path: Path, part: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.theirs:2,").write_bytes(SECRET)
    (root / ".Sub").mkdir()
    (root / ".Sub" / part).symlink_to(other)
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"]
    assert passed.count == 1 and passed.first == f"{root}/.Sub/{part}: it is a symbolic link"


def test_the_given_folder_and_file_must_be_no_link(root: Path, tmp_path: Path) -> None:
    mbox = tmp_path / "real.mbox"
    mbox.write_bytes(b"From -\nA: b\n\n")
    for real in (root, mbox):
        link = tmp_path / f"link-{real.name}"
        link.symlink_to(real)
        with pytest.raises(SetupError) as refused:
            taken(link)
        assert str(real) in refused.value.remedy
    (tmp_path / "above").symlink_to(tmp_path)
    assert taken(tmp_path / "above" / "Maildir")[0] == [b"A: good\r\n\r\n"], "a link of the running user's own above it"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a link of another user")
def test_a_link_of_another_user_above_the_folder_is_not_followed(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "theirs"
    link.symlink_to(tmp_path)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(SetupError, match="a symbolic link of another user"):
        taken(link / "Maildir")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_hard_links_to_files_of_others_are_passed_over(root: Path, secret: Path) -> None:
    os.link(root / "cur" / "5.good:2,S", root / "new" / "6.copy")
    os.chown(secret, 1234, 1234)
    os.link(secret, root / "new" / "7.secret")
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"] * 2
    assert passed.count == 1 and "hard link" in passed.first


def test_a_folder_exchanged_for_a_link_after_it_was_listed(root: Path, tmp_path: Path) -> None:
    """The way of an attacker who wins a race: the name is a folder when it is looked at and a link when it is opened."""
    (root / ".Sub" / "cur").mkdir(parents=True)
    (root / ".Sub" / "cur" / "1.a:2,").write_bytes(b"A: 1\n\n")
    other = tmp_path / "other"
    (other / "cur").mkdir(parents=True)
    (other / "cur" / "1.a:2,").write_bytes(SECRET)
    passed, octets = PassedOver(), []
    for _, chunks in messages_of(root, passed=passed):
        octets.append(b"".join(chunks))
        if len(octets) == 1:
            os.rename(root / ".Sub", tmp_path / "moved")
            (root / ".Sub").symlink_to(other)
    assert octets == [b"A: good\r\n\r\n"] and passed.count == 1


def test_links_in_a_folder_of_mbox_files(tmp_path: Path, secret: Path) -> None:
    folder = tmp_path / "Mail"
    (folder / "Sub.sbd").mkdir(parents=True)
    (folder / "a.mbox").write_bytes(b"From -\nA: 1\n\n")
    (folder / "b.mbox").symlink_to(folder / "a.mbox")
    (folder / "Sub.sbd" / "c").symlink_to(secret)
    (folder / "linked.sbd").symlink_to(folder / "Sub.sbd")
    os.mkfifo(folder / "pipe")
    octets, passed = taken(folder)
    assert octets == [b"A: 1\r\n"] and passed.count == 4


def test_what_is_no_file_is_passed_over(root: Path) -> None:
    os.mkfifo(root / "cur" / "1.pipe:2,S")
    (root / "cur" / "2.folder:2,S").mkdir()
    if os.geteuid() == 0:
        os.mknod(root / "cur" / "3.device", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero has no end
    (root / "cur" / "4.huge:2,").touch()
    os.truncate(root / "cur" / "4.huge:2,", 2**42)
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"]
    assert passed.count == (4 if os.geteuid() == 0 else 3) and passed.first.endswith("1.pipe:2,S: it is a pipe")


def test_an_unreadable_file_is_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "cur" / "1.closed:2,").write_bytes(SECRET)
    (root / "cur" / "1.closed:2,").chmod(0)
    if os.geteuid() == 0:
        deny(monkeypatch, "1.closed:2,")
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"]
    assert passed.count == 1 and passed.first == f"{root}/cur/1.closed:2,: Permission denied"


def deny(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Root may read everything: the kernel's answer is given in its place."""
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == name:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(archive_files.os, "open", refusing)


def test_a_file_renamed_meanwhile_is_found_by_its_base_name(root: Path) -> None:
    for number in (6, 7, 8):
        (root / "new" / f"{number}.x").write_bytes(b"A: %d\n\n" % number)
    passed, found = PassedOver(), []
    for message, chunks in messages_of(root, passed=passed):
        found.append((message.flags, b"".join(chunks)))
        if len(found) == 1:
            os.rename(root / "new" / "6.x", root / "cur" / "6.x:2,FS")
            os.rename(root / "new" / "7.x", root / "cur" / "7.x;2,T")
            os.unlink(root / "new" / "8.x")
    assert found == [
        (("\\Seen",), b"A: good\r\n\r\n"), (("\\Flagged", "\\Seen"), b"A: 6\r\n\r\n"), (("\\Deleted",), b"A: 7\r\n\r\n"),
    ]  # fmt: skip
    assert passed.count == 1 and "meanwhile" in passed.first


def test_a_file_moved_between_the_readings_of_new_and_cur_is_taken_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "new" / "6.x").write_bytes(b"A: 6\n\n")
    real, moved = os.scandir, []

    def moving(path: int) -> object:
        if isinstance(path, int) and os.readlink(f"/proc/self/fd/{path}").endswith("/cur") and not moved:
            moved.append(os.rename(root / "new" / "6.x", root / "cur" / "6.x:2,S"))
        return real(path)

    monkeypatch.setattr(maildir.os, "scandir", moving)
    assert taken(root)[0] == [b"A: good\r\n\r\n", b"A: 6\r\n\r\n"]
    assert moved


@pytest.mark.parametrize("mark", [":", ";", "!", "_", "-"])
def test_flags_behind_every_mark(mark: str) -> None:
    name = f"1700000000.M1P2.host-2,S=99,W=101{mark}2,FRSa"
    assert set(flags_of(name, {"a": "work"})) == {"\\Flagged", "\\Answered", "\\Seen", "work"}
    assert unique(name) == "1700000000.M1P2.host-2,S=99,W=101"
    assert unique(f"5.x{mark}2,") == "5.x" and flags_of(f"5.x{mark}2,", {}) == ()


@pytest.mark.parametrize("name", ["5.host-2,S=9", "5_2", "5;1,S", "2,S", "5.M!P"])
def test_names_without_flags_stay_whole(name: str) -> None:
    assert unique(name) == name and flags_of(name, {}) == ()


def test_names_that_are_no_text_keep_their_place(root: Path) -> None:
    for name in (b"6.\xff\xfe:2,S", b"7.\xe9"):
        (root / "cur" / os.fsdecode(name)).write_bytes(b"A: %d\n\n" % name[0])
    passed = PassedOver()
    positions = [message.position for message, _ in messages_of(root, passed=passed)]
    assert len(positions) == 3 and all(position.encode() for position in positions)
    assert len(taken(root, positions[1])[0]) == 1


def test_mailboxes_without_a_message_are_reported(root: Path, secret: Path) -> None:
    (root / ".Empty.Sub" / "cur").mkdir(parents=True)
    (root / ".NoMaildir").mkdir()
    (root / ".Linked").symlink_to(secret.parent)
    assert mailboxes_of(root) == ["INBOX", "Empty/Sub"]


def test_folders_a_thousand_levels_deep_are_not_looked_into(root: Path) -> None:
    made = [os.open(root, os.O_RDONLY)]
    for _ in range(200):
        os.mkdir("d", dir_fd=made[-1])
        made.append(os.open("d", os.O_RDONLY, dir_fd=made[-1]))
    for descriptor in made:
        os.close(descriptor)
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"] and passed.count == 1


def test_a_folder_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".Closed" / "cur").mkdir(parents=True)
    (root / ".Closed").chmod(0)
    if os.geteuid() == 0:
        deny(monkeypatch, ".Closed")
    octets, passed = taken(root)
    assert octets == [b"A: good\r\n\r\n"] and passed.count == 1
    monkeypatch.undo()
    (root / ".Closed").chmod(0o700)


def test_the_position_goes_on_right_in_a_folder_of_mbox_files(tmp_path: Path) -> None:
    for number, name in enumerate(("a/c", "a-b", "a.mbox", "a")):
        path = tmp_path / "Mail" / ("a.d/" + name if name == "a" else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"From -\nA: %d\n\n" % number)
    found = [(message, b"".join(chunks)) for message, chunks in messages_of(tmp_path / "Mail")]
    for done, (message, _) in enumerate(found, 1):
        assert taken(tmp_path / "Mail", message.position)[0] == [octets for _, octets in found[done:]]


# --- names on the way out --------------------------------------------------------------------------------------


@pytest.fixture
def paths() -> Callable[..., list[str]]:
    names = ExportNames(".mbox")
    return lambda *mailboxes: [str(names.path_of(mailbox)) for mailbox in mailboxes]


def test_plain_names_stay_as_they_are(paths: Callable[..., list[str]]) -> None:
    assert paths("INBOX", "a/b", "a", "Grüße", "INBOX") == ["INBOX.mbox", "a/b.mbox", "a.mbox", "Grüße.mbox", "INBOX.mbox"]


@pytest.mark.parametrize("name", ["n" * 284, "ü" * 142, "n" * 1000, "a/" + "b" * 300 + "/" + "c" * 300, "😀" * 71])
def test_long_names_fit_and_are_the_same_each_time(paths: Callable[..., list[str]], tmp_path: Path, name: str) -> None:
    [path] = paths(name)
    assert [path] == [str(ExportNames(".mbox").path_of(name))] and "~" in path
    assert all(len(level.encode()) <= 255 for level in path.split("/"))
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(b"")
    assert paths(name + "x") != [path]


def test_names_that_differ_in_case_or_form_only(paths: Callable[..., list[str]]) -> None:
    found = paths("Work", "work", "WORK/a", "work/A", "é", "É", "strasse", "straße", "a.mbox/b", "a")
    assert len({path.casefold() for path in found}) == len(found)
    assert found[0] == "Work.mbox" and found[1].startswith("work~")
    folders = {path.split("/")[0].casefold() for path in found if "/" in path}
    assert not folders & {path.casefold() for path in found if "/" not in path}


@pytest.mark.parametrize("name", [".", "..", "a/../b", "x\x01y", "tab\there", 'a:b\\c"d<e>f|g?', "../../etc/passwd", "x\x7f"])
def test_names_with_a_meaning_or_no_print_stay_below_the_folder(paths: Callable[..., list[str]], name: str) -> None:
    [path] = paths(name)
    assert not {".", ".."} & set(path.split("/")) and not path.startswith("/")
    assert all(32 <= ord(one) != 127 and one not in '\\:?*"<>|' for one in path)
    assert unescaped(path).removesuffix(".mbox") == name
