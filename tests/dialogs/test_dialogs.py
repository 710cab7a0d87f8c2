"""Every session in `imap/`, `smtp/` and `pop3/` is played on the real server; `dialog.py` says how they are written."""

from pathlib import Path

import pytest

from .dialog import pattern, play

HERE = Path(__file__).parent
DIALOGS = sorted(HERE.glob("*/*.txt"))


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_dialog(path: Path, tmp_path: Path) -> None:
    await play(path, tmp_path)


def test_patterns() -> None:
    assert pattern("* <[0-9]+> EXISTS (a.b)").fullmatch(b"* 12 EXISTS (a.b)")
    assert not pattern("* <[0-9]+> EXISTS (a.b)").fullmatch(b"* 12 EXISTS (axb)")
    assert pattern(r"<\<a\>>").fullmatch(b"<a>")
