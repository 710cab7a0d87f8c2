"""README.md, CONTRIBUTING.md and CHANGELOG.md name what exists: files, make targets, commands, settings, tables."""

import argparse
import re
from pathlib import Path

import pytest

from appliance.cli.commands import parser
from appliance.config.settings import arrays, explained, sections
from tests.architecture.test_layers import BESIDE, LAYERS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PACKAGES = sorted(path.name for path in (ROOT / "appliance").iterdir() if (path / "__init__.py").exists())


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def quoted(document: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text_of(document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_packages_exist(document: str) -> None:
    """`appliance/...` and `tests/...` from the root; `PACKAGE/...` below `appliance`, with or without its suffix."""
    for path in quoted(document):
        start = path.split("/")[0]
        place = ROOT / "appliance" / path if start in PACKAGES else ROOT / path
        if re.fullmatch(r"[\w./]+", path) and "/" in path and start in {*PACKAGES, "appliance", "tests"}:
            assert place.exists() or place.with_suffix(".py").exists(), f"{document} names {path}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    named = set(re.findall(r"(?m)(?:^    |`)make ([a-z][a-z-]+)", text_of(document)))
    known = set(re.findall(r"(?m)^([a-z-]+):", text_of("Makefile")))
    assert named <= known, named - known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_exist(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in re.findall(r"(?:`|^    )pillarbox ((?:[a-z-]+ ?)+)", text_of(document), re.MULTILINE):
        words = [word for word in command.split() if not word.startswith("-")][:2]
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([*words, "--help"])
        assert ended.value.code == 0, f"{document}: pillarbox {command}"
    capsys.readouterr()


def test_commands_that_sentences_name_exist() -> None:
    """A remedy that is no command helps nobody."""

    def choices(grammar: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
        (below,) = [one.choices for one in grammar._actions if isinstance(one, argparse._SubParsersAction)] or [{}]
        return dict(below)

    def is_known(verb: str, action: str, options: list[str]) -> bool:
        grammar = choices(parser()).get(verb)
        if grammar is not None and (actions := choices(grammar)):
            grammar = actions.get(action)
        return grammar is not None and set(options) <= grammar._option_string_actions.keys()

    files = [one for one in (ROOT / "appliance").rglob("*") if one.suffix in (".py", ".html", ".js") and one.stem != "common_passwords"]
    for file in files:
        for named in re.findall(r"pillarbox ([a-z][a-z-]*(?: [^`\"\n.,;)]*)?)", file.read_text()):
            verb, action = [*named.split(), ""][:2]
            assert is_known(verb, action, re.findall(r"(?<= )--[a-z-]+", named)), f"{file.name}: pillarbox {named}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_exist(document: str) -> None:
    known = {name: {one.name for one in explained(section)} for name, section in (*sections(), *arrays())}
    text = text_of(document)
    named = set(re.findall(r"`\[{1,2}([a-z0-9]+)\]{1,2}`", text))
    for header, lines in re.findall(r"(?m)^    \[{1,2}([a-z0-9]+)\]{1,2}\n((?:    .+\n)+)", text):
        named.add(header)
        unknown = set(re.findall(r"(?m)^    (\w+) =", lines)) - known.get(header, set())
        assert not unknown, f"{document}: no settings {unknown} in [{header}]"
    assert named <= known.keys(), f"{document}: no sections {named - known.keys()}"


def test_the_layers_of_the_readme_are_the_enforced_ones() -> None:
    rows = text_of("README.md").split("| layer | packages of `appliance` |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    named = {package: int(row.split("|")[1]) for row in rows for package in re.findall(r"`(\w+)`", row.split("|")[2])}
    assert named == {package: LAYERS[package] for package in PACKAGES if package not in BESIDE}


def test_tables_of_the_database_are_the_schema_s() -> None:
    rows = text_of("CONTRIBUTING.md").split("| table | holds |\n|---|---|\n")[1].split("\n\n")[0]
    named = {name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    made = set(re.findall(r"CREATE TABLE (\w+)\(", (ROOT / "appliance/database/schema.py").read_text(encoding="utf-8")))
    assert named == made, f"CONTRIBUTING.md lacks {made - named} or names {named - made}"
