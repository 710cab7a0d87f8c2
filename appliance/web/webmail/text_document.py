"""Plain text as HTML, or as a reply quotes it: links that show where they lead, quotes folded, flowed lines joined (RFC 3676).

Everything is escaped; the only elements are p, a, details, summary, blockquote and br of our own.
"""

import re
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby, pairwise
from typing import NamedTuple

from appliance.mail.content import parse_content_type

from .links import mark, other_host

LINKS = 10_000
"""A text with more has none that can be followed: each becomes an element of a page."""
QUOTES = 5_000
"""With more changes of the depth, quotes stand as they came."""
SHORT_QUOTE_LINES = 4
"""A quote of so many lines or fewer stays open."""
QUOTE_DEPTH = 10
"""Deeper quotes are shown at this depth."""
_LINK = re.compile(
    r"(?P<web>(?:https?://|www\.)[^\s<>\"'()\[\]{}]+(?:\([^\s<>\"'()]*\)[^\s<>\"'()\[\]{}]*)*)"
    r"|(?P<mail>[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{1,250}[A-Za-z0-9])"
)
_TAIL = ".,;:!?"
_MARKS, _FLOWED_MARKS = re.compile(r"(?:> ?)*>"), re.compile(r">+")


class Flow(NamedTuple):
    """What text/plain says of its lines (RFC 3676 §4): whether they flow, and whether the space of a soft line break is the text's."""

    flowed: bool = False
    deletes_space: bool = False


FIXED = Flow()


def read_flow(content_type: str | None) -> Flow:
    """Of a Content-Type field."""
    parameters = {name.lower(): value.lower() for name, value in parse_content_type((content_type or "").encode("ascii", "replace"))[1]}
    return Flow(parameters.get(b"format") == b"flowed", parameters.get(b"delsp") == b"yes")


def text_html(text: str, shown: str, flow: Flow = FIXED) -> str:
    """`shown`: the words of a folded quote's handle."""
    link = linked if text.count("@") + text.count("www.") + text.count("http") <= LINKS else escape
    lines = list(_lines(text, flow))
    if sum(one[0] != other[0] for one, other in pairwise(lines)) > QUOTES:
        return _paragraphs([f"{'>' * depth} {line}" if depth else line for depth, line in lines], link)
    return _blocks(lines, shown, 0, link)


def unflowed(text: str, flow: Flow) -> str:
    """With a line for each paragraph, quoted as before: what is written on, or quoted in a reply."""
    if not flow.flowed:
        return text
    return "\n".join(f"{'>' * depth} {line}" if depth else line for depth, line in _lines(text, flow))


def _lines(text: str, flow: Flow) -> Iterator[tuple[int, str]]:
    """Each line with the depth of its quote."""
    lines = [_unquoted(line, flow) for line in text.split("\n")]
    return _joined(lines, flow) if flow.flowed else iter(lines)


def _unquoted(line: str, flow: Flow) -> tuple[int, str]:
    """How deep a line is quoted, and the rest of it; a space after the marks is no part of it (RFC 3676 §4.4, §4.5)."""
    found = (_FLOWED_MARKS if flow.flowed else _MARKS).match(line)
    depth = found[0].count(">") if found else 0
    rest = line[found.end() :] if found else line
    return min(depth, QUOTE_DEPTH), rest[1:] if rest[:1] == " " and (depth or flow.flowed) else rest


def _joined(lines: list[tuple[int, str]], flow: Flow) -> Iterator[tuple[int, str]]:
    """A line that ends with a space goes on in the next, unless it is the signature's separator (RFC 3676 §4.1, §4.3)."""
    held: list[str] = []
    held_depth = 0
    for depth, text in lines:
        if held and (held_depth != depth or text == "-- "):
            yield held_depth, "".join(held)
            held = []
        soft = text.endswith(" ") and text != "-- "
        held.append(text[:-1] if soft and flow.deletes_space else text)
        held_depth = depth
        if not soft:
            yield depth, "".join(held)
            held = []
    if held:
        yield held_depth, "".join(held)


def _blocks(lines: list[tuple[int, str]], shown: str, level: int, link: Callable[[str], str]) -> str:
    parts = []
    for quoted, group in groupby(lines, key=lambda line: line[0] > level):
        some = list(group)
        if not quoted:
            parts.append(_paragraphs([text for _, text in some], link))
            continue
        inner = f"<blockquote>{_blocks(some, shown, level + 1, link)}</blockquote>"
        short = level or len(some) <= SHORT_QUOTE_LINES
        parts.append(inner if short else f"<details><summary>{escape(shown)}</summary>{inner}</details>")
    return "".join(parts)


def _paragraphs(lines: list[str], link: Callable[[str], str]) -> str:
    text = "\n".join(lines).strip("\n")
    return f'<p class="text">{link(text)}</p>' if text.strip() else ""


def linked(text: str) -> str:
    """Escaped text in which addresses of the web and of mail are links."""
    parts, at = [], 0
    for found in _LINK.finditer(text):
        address = found[0].rstrip(_TAIL)
        parts.append(escape(text[at : found.start()]))
        at = found.start() + len(address)
        place = f"mailto:{address}" if found["mail"] else address if "://" in address else f"https://{address}"
        parts.append(f'<a href="{escape(place)}" target="_blank" rel="noopener noreferrer nofollow">{escape(address)}</a>')
        parts.append(mark(other_host(place, "")))
    return "".join([*parts, escape(text[at:])])
