"""Plain text as HTML: links that show where they lead, quotes folded, flowed lines joined (RFC 3676).

Everything is escaped; the only elements are p, a, details, summary, blockquote and br of our own.
"""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

SHORT_QUOTE_LINES = 4
"""A quote of so many lines or fewer stays open."""
QUOTE_DEPTH = 10
"""Deeper quotes are shown at this depth."""
_LINK = re.compile(
    r"(?P<web>(?:https?://|www\.)[^\s<>\"'()\[\]{}]+(?:\([^\s<>\"'()]*\)[^\s<>\"'()\[\]{}]*)*)"
    r"|(?P<mail>[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{1,250}[A-Za-z0-9])"
)
_TAIL = ".,;:!?"


def text_html(text: str, shown: str, *, flowed: bool = False) -> str:
    """`shown`: the words of a folded quote's handle."""
    lines = [_unquoted(line) for line in text.split("\n")]
    if flowed:
        lines = list(_joined(lines))
    return _blocks(lines, shown, 0)


def _unquoted(line: str) -> tuple[int, str]:
    """How deep a line is quoted, and the rest of it; a space after the marks is no part of it."""
    found = re.match(r"(?:> ?)*>", line)
    depth = found[0].count(">") if found else 0
    rest = line[found.end() :] if found else line
    return min(depth, QUOTE_DEPTH), rest[1:] if rest[:1] == " " else rest


def _joined(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """A line that ends with a space goes on in the next, unless it is the signature's separator (RFC 3676 §4.1, §4.3)."""
    held: list[str] = []
    held_depth = 0
    for depth, text in lines:
        if held and (held_depth != depth or text == "-- "):
            yield held_depth, "".join(held)
            held = []
        held.append(text)
        held_depth = depth
        if not text.endswith(" ") or text == "-- ":
            yield depth, "".join(held)
            held = []
    if held:
        yield held_depth, "".join(held)


def _blocks(lines: list[tuple[int, str]], shown: str, level: int) -> str:
    parts = []
    for quoted, group in groupby(lines, key=lambda line: line[0] > level):
        some = list(group)
        if not quoted:
            parts.append(_paragraphs([text for _, text in some]))
            continue
        inner = f"<blockquote>{_blocks(some, shown, level + 1)}</blockquote>"
        short = level or len(some) <= SHORT_QUOTE_LINES
        parts.append(inner if short else f"<details><summary>{escape(shown)}</summary>{inner}</details>")
    return "".join(parts)


def _paragraphs(lines: list[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return f'<p class="text">{linked(text)}</p>' if text.strip() else ""


def linked(text: str) -> str:
    """Escaped text in which addresses of the web and of mail are links."""
    parts, at = [], 0
    for found in _LINK.finditer(text):
        address = found[0].rstrip(_TAIL)
        parts.append(escape(text[at : found.start()]))
        at = found.start() + len(address)
        place = f"mailto:{address}" if found["mail"] else address if "://" in address else f"https://{address}"
        parts.append(f'<a href="{escape(place)}" target="_blank" rel="noopener noreferrer nofollow">{escape(address)}</a>')
    return "".join([*parts, escape(text[at:])])
