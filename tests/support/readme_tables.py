"""Regenerate the README's tables of standards and settings: `make tables`."""

import re

from tests.architecture.test_standards import table as standards_table
from tests.journeys.test_readme import settings_table
from tests.support.server import ROOT


def main() -> None:
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    for table in (standards_table(), settings_table()):
        head = "".join(table.splitlines(keepends=True)[:2])
        text, count = re.subn(re.escape(head) + r"(?:\|.*\n)*", lambda _, new=table: new, text)
        assert count == 1, f"README.md should have one table that begins {head!r}, not {count}"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
