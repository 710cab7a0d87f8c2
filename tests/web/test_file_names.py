"""File names that a sender chose, and characters of others in lines of ours."""

import re

import pytest

from appliance.web.file_names import MOST_CHARACTERS, safe_file_name
from appliance.web.plain_text import TURNING, UNPLAIN
from appliance.web.webmail.modules import DIRECTORY


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("menu.pdf", "menu.pdf"),
        ("a\u202egpj.exe", "a_gpj.exe"),
        ("\u2067a\u2069.txt", "_a_.txt"),
        ("a\u061cb.txt", "a_b.txt"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\x\\y.txt", "C_x_y.txt"),
        ("a\0b\r\nc.txt", "a_b_c.txt"),
        ("..", ""),
        (" . ", ""),
        ("", ""),
        ("photo.jpg          .exe", "photo.jpg .exe"),
        ("CON.txt", "_CON.txt"),
        ("lpt1", "_lpt1"),
        ("console.txt", "console.txt"),
        ("Grüße שלום.txt", "Grüße שלום.txt"),
    ],
)
def test_a_name_is_safe_on_any_system(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


def test_a_long_name_keeps_its_end() -> None:
    found = safe_file_name("ä" * 4000 + ".pdf")
    assert len(found) == MOST_CHARACTERS and found.endswith("ä.pdf")


def matched(characters: str) -> set[str]:
    return set(re.findall(characters, "".join(map(chr, range(0x11000)))))


def test_page_and_server_hold_the_same_characters_for_unfit() -> None:
    """The class of the script's regular expression is one of Python as well."""
    found = re.search(r"export const plain = .*\.replace\(/(\[[^\]]+\])/g", (DIRECTORY / "dom.js").read_text())
    assert found is not None and matched(found[1]) == matched(f"[{UNPLAIN}]")


def test_what_turns_text_round_is_what_unicode_calls_a_bidi_control() -> None:
    """Bidi_Control of Unicode's PropList."""
    named = {"ALM": 0x61C, "LRM": 0x200E, "RLM": 0x200F, "LRE": 0x202A, "RLE": 0x202B, "PDF": 0x202C, "LRO": 0x202D, "RLO": 0x202E,
             "LRI": 0x2066, "RLI": 0x2067, "FSI": 0x2068, "PDI": 0x2069}  # fmt: skip
    assert matched(f"[{TURNING}]") == set(map(chr, named.values()))
