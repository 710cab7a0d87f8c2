"""Every standard the code cites is in tests/standards.toml, with the packages that implement it; the README's table comes from there."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS: list[dict[str, Any]] = tomllib.loads((ROOT / "tests/standards.toml").read_text(encoding="utf-8"))["rfc"]
AREAS = ("SMTP", "Sending", "IMAP", "POP3", "Signing in", "Messages", "Store", "Web")
CITATION = re.compile(r"RFC (\d+)(?: §([A-Za-z\d.]+))?")
SECTION = re.compile(r"(?:[1-9]\d*|[A-H])(?:\.\d+)*")


def cited() -> dict[int, set[str]]:
    """RFC number to the packages that cite it."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in (ROOT / "appliance").rglob("*.py"):
        package = path.relative_to(ROOT / "appliance").parts[0].removesuffix(".py")
        for number, _ in CITATION.findall(path.read_text(encoding="utf-8")):
            found[int(number)].add(package)
    return found


CITED = cited()


def table() -> str:
    """The README's table: what is kept, area by area."""
    lines = ["| area | kept | in part |", "|---|---|---|"]
    for area in AREAS:
        by = {kept: [row for row in ROWS if row["area"] == area and row["kept"] == kept] for kept in ("full", "partial")}
        if any(by.values()):
            whole, partly = ", ".join(str(row["number"]) for row in by["full"]), ", ".join(map(_partly, by["partial"]))
            lines.append(f"| {area} | {whole} | {partly} |")
    return "\n".join(lines) + "\n"


def _partly(row: dict[str, Any]) -> str:
    return f"{row['number']} ({row['note']})" if "note" in row else str(row["number"])


def test_every_citation_resolves() -> None:
    known = {row["number"] for row in ROWS}
    assert CITED.keys() <= known, f"not in tests/standards.toml: {sorted(CITED.keys() - known)}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["number"]))
def test_each_row_is_kept_where_it_says(row: dict[str, Any]) -> None:
    assert row["kept"] in ("full", "partial", "none", "cited") and row["area"] in AREAS and row["title"]
    named, citing = set(row["packages"]), CITED[row["number"]]
    assert named, f"RFC {row['number']} has no package"
    assert named <= citing, f"RFC {row['number']} is not cited in {sorted(named - citing)}, but in {sorted(citing)}"


def test_sections_are_written_as_the_standards_number_them() -> None:
    for path in (ROOT / "appliance").rglob("*.py"):
        for number, section in CITATION.findall(path.read_text(encoding="utf-8")):
            plain = section.rstrip(".")
            assert not section or SECTION.fullmatch(plain), f"{path.name}: RFC {number} §{section}"


def test_rows_are_in_order_and_once() -> None:
    numbers = [row["number"] for row in ROWS]
    assert numbers == sorted(set(numbers))


def test_the_readme_has_the_table() -> None:
    assert table() in (ROOT / "README.md").read_text(encoding="utf-8"), "README.md's Standards should read:\n" + table()
