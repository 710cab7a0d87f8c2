"""What a client accepts and already has: content codings, languages, entity tags, ranges (RFC 9110 §8, §12, §13, §14). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

ITEMS = 30
"""Members of a list that are looked at; what comes after them is ignored."""

_RANGE = re.compile(r"bytes=\s*([0-9]{0,15})-([0-9]{0,15})\s*")


@dataclass(frozen=True, slots=True)
class OctetRange:
    """Octets `start` up to, not including, `stop` of `total`."""

    start: int
    stop: int
    total: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.total}"


UNSATISFIABLE = OctetRange(0, 0, 0)
"""Instead of a range that does not touch the representation: 416."""


def weights(field: str) -> list[tuple[str, float]]:
    """The members of an Accept-* field in lower case with their weight (RFC 9110 §12.4.2), best first; those of weight 0 too."""
    found = []
    for item in field.split(",")[:ITEMS]:
        name, *parameters = item.split(";")
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    weight = min(1.0, max(0.0, float(value.strip()[:5])))
                except ValueError:
                    weight = 0.0
        if name.strip():
            found.append((name.strip().lower(), weight))
    return sorted(found, key=lambda one: -one[1])


def accepts_coding(field: str, coding: str) -> bool:
    """May the response be in this content coding? (RFC 9110 §12.5.3)"""
    found = dict(reversed(weights(field)))
    return found.get(coding, found.get("*", 0.0)) > 0.0


def best_language(field: str, known: Sequence[str]) -> str:
    """The first wanted language that is known, by its primary subtag (RFC 4647 §3.4); known[0] when there is none."""
    for wanted, weight in weights(field):
        primary = wanted.partition("-")[0]
        if weight > 0.0 and primary in known:
            return primary
    return known[0]


def matches_tag(field: str, tag: str) -> bool:
    """Does If-None-Match name this entity tag? Weak comparison (RFC 9110 §8.8.3.2)."""
    return field.strip() == "*" or any(one.strip().removeprefix("W/") == tag.removeprefix("W/") for one in field.split(",")[:ITEMS])


def parse_range(field: str, total: int) -> OctetRange | None:
    """The range of a Range field in a representation of `total` octets; UNSATISFIABLE when it lies outside; None when the field is to be
    ignored, as one with several ranges is (RFC 9110 §14.2)."""
    found = _RANGE.fullmatch(field)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), total)
        return OctetRange(total - length, total, total) if length else UNSATISFIABLE
    start = int(found[1])
    stop = min(int(found[2]) + 1, total) if found[2] else total
    if found[2] and int(found[2]) < start:
        return None
    return OctetRange(start, stop, total) if start < total else UNSATISFIABLE
