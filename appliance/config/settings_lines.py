"""The line numbers of the keys in a TOML text.

`tomllib` gives values without positions, and an error needs its line, so this scanner goes through a text that `tomllib` has
already accepted and records where each key begins: tables, dotted keys, arrays of
tables and inline tables alike. It keeps no values. On a text that is not TOML its answer means nothing.
"""

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_VALUE = re.compile(r"[^,\]\}\n#]*")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\", "e": "\x1b"}


class _Walk:
    """A cursor over the text."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counted_at = 0
        self._counted = 1

    def line(self) -> int:
        self._counted += self.text.count("\n", self._counted_at, self.at)
        self._counted_at = self.at
        return self._counted

    def peek(self, expected: str) -> bool:
        return self.text.startswith(expected, self.at)

    def skip(self, newlines: bool) -> None:
        """Blanks and comments, line ends too where they mean nothing."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here in " \t" or (newlines and here == "\n"):
                self.at += 1
            else:
                return

    def string(self) -> str:
        """The string that begins here, any of the four kinds; escapes decoded for keys' sake."""
        quote = self.text[self.at]
        delimiter = quote * 3 if self.peek(quote * 3) else quote
        self.at += len(delimiter)
        out: list[str] = []
        while self.at < len(self.text):
            if self.peek(delimiter):
                self.at += len(delimiter)
                while len(delimiter) == 3 and self.peek(quote):  # up to two quotes may touch the closing three
                    self.at += 1
                return "".join(out)
            here = self.text[self.at]
            self.at += 1
            if here == "\\" and quote == '"' and self.at < len(self.text):
                kind = self.text[self.at]
                self.at += 1
                digits = {"u": 4, "U": 8, "x": 2}.get(kind, 0)
                if digits:
                    out.append(chr(int(self.text[self.at : self.at + digits], 16)))
                    self.at += digits
                else:
                    out.append(_ESCAPES.get(kind, kind))
            else:
                out.append(here)
        return "".join(out)

    def key(self) -> tuple[str, ...]:
        """A dotted key."""
        parts: list[str] = []
        while self.at < len(self.text):
            self.skip(False)
            if self.text[self.at : self.at + 1] in ('"', "'"):
                parts.append(self.string())
            else:
                bare = _BARE.match(self.text, self.at)
                if not bare:
                    break
                parts.append(bare.group())
                self.at = bare.end()
            self.skip(False)
            if not self.peek("."):
                break
            self.at += 1
        return tuple(parts)

    def note(self, base: Path, key: tuple[str, ...], line: int) -> Path:
        for n in range(1, len(key) + 1):
            self.lines.setdefault((*base, *key[:n]), line)
        self.lines[(*base, *key)] = line
        return (*base, *key)

    def pair(self, base: Path) -> None:
        line = self.line()
        path = self.note(base, self.key(), line)
        self.skip(False)
        self.at += 1  # the "="
        self.value(path)

    def value(self, path: Path) -> None:
        """Walk over one value; what is inside notes its own lines. `tomllib` has bounded the depth."""
        self.skip(False)
        if self.peek("["):
            self.at += 1
            for n in self.items("]"):
                self.lines[(*path, n)] = self.line()
                self.value((*path, n))
        elif self.peek("{"):
            self.at += 1
            for _ in self.items("}"):
                self.pair(path)
        elif self.text[self.at : self.at + 1] in ('"', "'"):
            self.string()
        else:
            plain = _PLAIN_VALUE.match(self.text, self.at)
            self.at = plain.end() if plain else self.at + 1

    def items(self, close: str) -> Iterator[int]:
        """Stop at each item up to the closing bracket; whoever iterates walks over the item."""
        n = 0
        while self.at < len(self.text):
            self.skip(True)
            if self.peek(close):
                self.at += 1
                return
            yield n
            n += 1
            self.skip(True)
            if self.peek(","):
                self.at += 1


def lines_of(text: str) -> dict[Path, int]:
    """Line numbers from 1 of every key path of a TOML text, e.g. ("listen", "smtp") or ("route", 0, "host")."""
    walk = _Walk(text)
    counts: dict[Path, int] = {}

    def resolve(key: tuple[str, ...]) -> Path:
        """A header's key, with the index of the latest element put in where it passes through arrays of tables."""
        path: Path = ()
        for part in key:
            path = (*path, part)
            if path in counts:
                path = (*path, counts[path] - 1)
        return path

    base: Path = ()
    while True:
        walk.skip(True)
        if walk.at >= len(walk.text):
            return walk.lines
        if walk.peek("["):
            line = walk.line()
            double = walk.peek("[[")
            walk.at += 2 if double else 1
            key = walk.key()
            if double:
                array = (*resolve(key[:-1]), key[-1])
                counts[array] = counts.get(array, 0) + 1
                walk.lines.setdefault(array, line)
                base = (*array, counts[array] - 1)
            else:
                base = resolve(key)
            for n in range(1, len(base) + 1):
                walk.lines.setdefault(base[:n], line)
            walk.lines[base] = line
            walk.at += 2 if double else 1
        else:
            before = walk.at
            walk.pair(base)
            walk.at = max(walk.at, before + 1)
