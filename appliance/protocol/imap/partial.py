"""Partial ranges of a search's results: `1:500` from the first, `-1:-100` from the last (RFC 9394 §4, RFC 5267 §5)."""

from dataclasses import dataclass

from .sequence import Ranges
from .tokens import Tokens


@dataclass(frozen=True, slots=True)
class PartialRange:
    """`first` to `last` with both ends, `first` <= `last`, counted from 1 at the oldest message, or backwards from the `newest`."""

    first: int
    last: int
    newest: bool
    written: bytes

    def of(self, count: int) -> range:
        """The places (from 0) of so many results that are in the range, ascending."""
        if self.newest:
            return range(max(count - self.last, 0), max(count - self.first + 1, 0))
        return range(min(self.first - 1, count), min(self.last, count))

    def within(self, places: Ranges) -> Ranges:
        """The part of half-open ranges that their members in the range make up."""
        chosen = self.of(sum(end - start for start, end in places))
        found, before = [], 0
        for start, end in places:
            lo, hi = max(chosen.start - before, 0), min(chosen.stop - before, end - start)
            before += end - start
            if lo < hi:
                found.append((start + lo, start + hi))
        return tuple(found)


def parse_partial(tokens: Tokens) -> PartialRange:
    """`SP partial-range`; both ends have a minus or none has. Raises MisuseError."""
    tokens.space()
    newest = tokens.accept(b"-")
    one = tokens.nz_number()
    tokens.expect(b":-" if newest else b":")
    other = tokens.nz_number()
    minus = b"-" if newest else b""
    return PartialRange(min(one, other), max(one, other), newest, b"%b%d:%b%d" % (minus, one, minus, other))
