"""Code, documents and tests use the standard terms of the field: words that once stood for them do not come back.

A word counts where it stands alone or as a part of an identifier (`house`, `_lane_of`, `LetterText`).
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WORDS = ("house", "letter", "lane", "parcel", "trip", "shelf", "hands", "lent", "rhythm", "buried", "carrier", "filing")
ALLOWED: tuple[tuple[str, str], ...] = (
    (r"tests/architecture/test_words\.py", r".*"),
    (
        r".*",
        r"\bletters?,? (?:and )?digits\b|\bletters or digits\b|letters, hyphens|"
        r"(?<![A-Za-z])round[ _-]trips?(?![a-z])|\bupper-case letters?\b|\blower-case letters?\b|\bletter-spacing\b",
    ),
    (r"appliance/database/migrations\.py", r"house\.db"),
    (r"LICENSE|.*\.lock", r".*"),
)
"""(file, text): where a word means something else: a character of the alphabet, a network round trip."""

PART = re.compile(
    "|".join(
        rf"(?<![A-Za-z])(?:{word}|{word}s)(?![a-z])|(?<![A-Za-z])(?:{word.upper()}|{word.upper()}S)(?![A-Za-z])"
        rf"|(?<![A-Z])(?:{word.capitalize()}|{word.capitalize()}s)(?![a-z])"
        for word in WORDS
    )
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    return [ROOT / name.decode() for name in listed.split(b"\0") if name]


def test_private_words_are_gone() -> None:
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        allowed = [re.compile(text) for file, text in ALLOWED if re.fullmatch(file, name)]
        if path.suffix in {".eml", ".bin", ".svg", ".pdf", ".png"} or not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            for pattern in allowed:
                line = pattern.sub("", line)
            found += [f"{name}:{number}: {m.group()}" for m in PART.finditer(line)]
    assert not found, f"{len(found)} private words:\n" + "\n".join(found[:100])
