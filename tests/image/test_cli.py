"""Arguments of the build, and what it says where something is missing."""

from pathlib import Path

import pytest

from image.build import cli, host


@pytest.mark.parametrize(
    "words",
    [["--nonsense"], ["--mirror", "not-an-address"], ["--work", "/no/such/folder"], ["--output"], ["extra"]],
)
def test_wrong_arguments_end_with_2_and_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.parse(words)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1


def test_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/srv/cache")
    assert cli.default_cache() == Path("/srv/cache/pillarbox-image")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification: to be ignored
    assert cli.default_cache() == Path.home() / ".cache/pillarbox-image"


def test_each_missing_package_is_named_with_its_command() -> None:
    with pytest.raises(host.BuildError) as told:
        host.require([("no-such-program", "its-package"), ("nor-this", "another")])
    assert "apt install its-package\n" in str(told.value)
    assert str(told.value).endswith("apt install another")


def test_an_emulator_for_arm64_is_found_by_its_magic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one, maintainer scripts could run unnoticed; a disabled one, or one for something else, is none."""
    monkeypatch.setattr(host, "BINFMT", tmp_path)
    arm64 = "interpreter /usr/bin/qemu\nflags: \noffset 0\nmagic 7f454c460201010000000000000000000200b700\n"
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "emulator").write_text("enabled\n" + arm64)
    (tmp_path / "switched-off").write_text("disabled\n" + arm64)
    (tmp_path / "python").write_text("enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic cb0d0d0a\n")
    assert host.foreign_handlers() == ["emulator"]


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(host.BuildError, match="sh ended with status 3:\nwhat went wrong"):
        host.run(["sh", "-c", "echo what went wrong; exit 3"])
