"""HEADER.FIELDS and HEADER.FIELDS.NOT: the requested fields of a header, selected as it is read (RFC 9051 §6.4.5.1).

Octets in chunks of any size, octets out unchanged and in order. A field runs from its name to the last of its folded lines; a line
that is no field counts as an unnamed one. The blank line that ends the header is always kept. Linear time, constant memory, never
fails.
"""

from collections.abc import Iterable

NAME_OCTETS = 1024
"""A name without a colon within so many octets matches none."""


class Fields:
    """Feed header octets, get the selected ones; `finish` gives what was held back."""

    __slots__ = ("_held", "_inside", "_keep", "_keeping", "_names")

    def __init__(self, names: Iterable[bytes], *, others: bool = False) -> None:
        """`names` in any case; `others`: keep the fields that are not among them."""
        self._names = frozenset([name.lower() for name in names])
        self._keep = not others
        self._keeping = others
        self._held = b""
        """The start of a line that needs more octets to be decided."""
        self._inside = False
        """The line is decided and its end has not been fed."""

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk if self._held else chunk
        kept: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            end = data.find(b"\n", at) + 1
            if not end and not self._inside and size - at <= NAME_OCTETS:
                break
            line = data[at : end or size]
            if not self._inside:
                self._decide(line)
            if self._keeping:
                kept.append(line)
            self._inside = not end
            at = end or size
        self._held = data[at:]
        return b"".join(kept)

    def finish(self) -> bytes:
        """The last line, when it has no line end."""
        held, self._held = self._held, b""
        if not held:
            return b""
        self._decide(held)
        return held if self._keeping else b""

    def _decide(self, line: bytes) -> None:
        if line[:1] in (b" ", b"\t"):
            return  # folded: belongs to its field
        if line in (b"\r\n", b"\n"):
            self._keeping = True
            return
        name, colon, _ = line[:NAME_OCTETS].partition(b":")
        self._keeping = (bool(colon) and name.rstrip(b" \t").lower() in self._names) is self._keep
