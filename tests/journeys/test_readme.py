"""What the README tells people to type is typed here, in its order, and does what it says."""

import re
import time
from pathlib import Path

import pytest

from appliance.system.settings import PROTOCOLS, ListenSettings, arrays, default_of, explained, sections
from tests.support.house import ROOT, House, new_data, on_terminal, pillarbox
from tests.support.wire import Smtp

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)(?:^    \S.*\n)+", README)
LETTER = b"From: old@friend.example\nSubject: of old\n\nWords.\n"


def commands() -> list[str]:
    """The words of the table of commands, in order."""
    table = README.split("| to | type `pillarbox ...`")[1].split("\n\n")[0]
    found = []
    for row in table.splitlines()[2:]:
        found += re.findall(r"`([^`]+)`", row.split("|")[2])
    return found


def words_of(command: str, place: Path) -> list[str]:
    """A line of the table with a family's own names in it."""
    name = "guest" if command.startswith(("person add", "person remove")) else "ada"
    line = command.replace("NAME@", f"{name}@").replace("DOMAIN", "smith.example")
    return [str(place / word) if word in ("old.mbox", "folder") else word for word in line.split()]


def test_the_three_steps_and_every_command_of_the_table(tmp_path: Path) -> None:
    steps = next(block for block in BLOCKS if "settings example" in block).splitlines()
    assert [step.split()[1] for step in steps] == ["settings", "person", "serve"]
    settings, data = tmp_path / "pillarbox.toml", tmp_path / "pillarbox"
    settings.write_text(pillarbox("settings", "example").stdout)
    pillarbox("settings", "check", str(settings))
    assert "Password: " in on_terminal("person", "add", "ada@smith.example", data=data)
    (tmp_path / "old.mbox").write_bytes(b"From x Tue Jan  2 10:11:13 2024\n" + LETTER)
    with House(data, "--settings", str(settings), domain="smith.example"):
        listed = commands()
        assert len(listed) >= 10
        for command in listed:
            words = words_of(command, tmp_path)
            if words == ["check"]:
                continue  # it wants the house asleep or says so: below
            on_terminal(*words, data=data)
    assert pillarbox("check", data=data).returncode == 0
    kept = [path.read_bytes() for path in (tmp_path / "folder").rglob("*") if path.is_file() and b"of old" in path.read_bytes()]
    assert len(kept) == 1, "what was imported was exported"


def test_the_certificate_command_of_the_readme_writes_an_authority(tmp_path: Path) -> None:
    line = next(line for block in BLOCKS for line in block.splitlines() if "certificate export" in line)
    new_data(tmp_path / "data")
    with House(tmp_path / "data", protocols=("imaps",)):
        words = line.split()[1:]
        words[words.index("data")] = str(tmp_path / "data")
        words[words.index("pillarbox.pem")] = str(tmp_path / "pillarbox.pem")
        pillarbox(*words)
    assert "BEGIN CERTIFICATE" in (tmp_path / "pillarbox.pem").read_text()


def test_every_make_target_named_exists() -> None:
    named = set(re.findall(r"(?m)(?:^    |`)make ([a-z][a-z-]+)", README))
    known = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert named <= known, named - known


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:appliance|tests)/[\w./]+)`", README))))
def test_every_place_named_exists(path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


def settings_table() -> str:
    """Every setting, from its field."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for name, section in (*sections(), *arrays()):
        for one in explained(section):
            value, words, least, most = default_of(one), *(one.metadata[key] for key in ("words", "least", "most"))
            shown = str(value).lower() if isinstance(value, bool) else ", ".join(value) if isinstance(value, tuple) else str(value)
            allowed = f" One of: {', '.join(words)}." if words else f" From {least:,} to {most:,}." if most is not None else ""
            lines.append(f"| `{name}.{one.name}` | {shown or '-'} | {one.metadata['text']}{allowed} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_settings_is_what_can_be_set() -> None:
    assert settings_table() in README, "README.md's Settings should read:\n" + settings_table()


def test_settings_reach_the_house(tmp_path: Path) -> None:
    """One of each kind, from the file to what a client hears."""
    settings = tmp_path / "pillarbox.toml"
    settings.write_text("[smtp]\nsign_in_on_25 = true\ngreet_pause_s = 1\n[letters]\nlargest_mb = 2\nrecipients = 123\n")
    with House(new_data(tmp_path / "data"), "--settings", str(settings), protocols=("smtp",)) as house:
        since = time.monotonic()
        with Smtp(house.ports["smtp"]) as smtp:
            assert time.monotonic() - since >= 1
            said = smtp.ask(b"EHLO client.example")
        assert b"250-AUTH SCRAM" in said and b"SIZE 2000000" in said and b"RCPTMAX=123" in said, said


def test_the_ports_of_the_table_are_the_defaults() -> None:
    table = README.split("| what | server | port | security |")[1].split("\n\n")[0]
    ports = set(re.findall(r"\| (\d{4}) \|", table))
    defaults = {where.rpartition(":")[2] for protocol in PROTOCOLS for where in getattr(ListenSettings(), protocol)}
    assert ports and ports <= defaults
