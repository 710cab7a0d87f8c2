"""The tables fold into look-ups without duplicates; CAPABILITY follows the tables."""

from pathlib import Path
from typing import Any

import pytest

import appliance.imapd.commands as commands
import appliance.imapd.extensions as extensions
from appliance.imapd.commands.basic import noop, nothing
from appliance.imapd.commands.table import CORE
from appliance.imapd.contract import ImapCommand, ImapExtension, ImapState
from appliance.imapd.extensions.table import EXTENSIONS
from appliance.imapd.registry import Registry

NOOP = ImapCommand(b"NOOP", ImapState.ANY, nothing, noop)


def test_the_tables_have_no_duplicates() -> None:
    registry = Registry((CORE, *EXTENSIONS))
    assert {b"APPEND"} <= registry.streamed.keys()
    for name, command in registry.commands.items():
        assert name == name.upper() == command.name
        assert command.rfc.startswith("RFC "), name


def test_a_duplicate_is_found() -> None:
    with pytest.raises(ValueError, match="NOOP"):
        Registry((CORE, ImapExtension("X", "RFC 0", lambda session: (), commands=(NOOP,))))


@pytest.mark.parametrize(("package", "table"), [(commands, CORE.commands), (extensions, EXTENSIONS)])
def test_every_file_is_listed(package: object, table: tuple[object, ...]) -> None:
    """One line in the table for each file: a missing line is found here."""
    folder = Path(package.__path__[0])  # type: ignore[attr-defined]
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "table"}
    text = (folder / "table.py").read_text()
    assert not {name for name in files if f"from .{name} import" not in text}
    assert table


def test_the_first_code_of_create_is_sent() -> None:
    one, two = (
        ImapExtension(name.decode(), "RFC 0", lambda session: (), created_code=lambda info, name=name: name) for name in (b"A", b"B")
    )
    info: Any = None
    assert Registry((CORE, one, two)).created_code(info) == b"A"
    assert Registry((CORE,)).created_code(info) == b""


def test_extensions_name_their_rfc() -> None:
    for extension in EXTENSIONS:
        assert extension.rfc.startswith("RFC "), extension.name
    assert len({extension.name for extension in EXTENSIONS}) == len(EXTENSIONS)
