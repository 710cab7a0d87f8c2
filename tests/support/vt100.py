"""A VT100 as far as the console uses one: what 80 by 24 cells hold after some octets. Any other control sequence is an error."""

import re

SEQUENCE = re.compile(r"\x1b(?:\[([0-9;]*)([A-Za-z])|([DM])|(\(B))")


class Vt100Screen:
    """`feed` octets, read `text()`; `seen` counts octets."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.last = columns, rows - 1
        self.rows = [[" "] * columns for _ in range(rows)]
        self.bars = [[""] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.top, self.bottom = 0, self.last
        self.sgr = ""
        self.seen = 0
        self._held = ""

    def feed(self, octets: bytes) -> None:
        self.seen += len(octets)
        text = self._held + octets.decode("ascii")
        self._held = ""
        at = 0
        while at < len(text):
            c = text[at]
            if c == "\x1b":
                found = SEQUENCE.match(text, at)
                if found is None:
                    assert len(text) - at < 12, f"no VT100 sequence: {text[at : at + 12]!r}"
                    self._held = text[at:]
                    return
                self._obey(*found.groups())
                at = found.end()
                continue
            at += 1
            if c == "\r":
                self.column = 0
            elif c == "\n":
                self._index()
            elif c == "\x0f":
                pass
            elif c == "\b":
                self.column = max(0, self.column - 1)
            else:
                assert " " <= c <= "~", f"a character a terminal obeys: {c!r}"
                assert self.column < self.columns - 1, "the last column makes some terminals wrap"
                self.rows[self.row][self.column] = c
                self.bars[self.row][self.column] = self.sgr
                self.column += 1

    def _index(self) -> None:
        if self.row == self.bottom:
            for cells in (self.rows, self.bars):
                cells.insert(self.bottom + 1, [" " if cells is self.rows else ""] * self.columns)
                del cells[self.top]
        else:
            self.row = min(self.last, self.row + 1)

    def _reverse_index(self) -> None:
        if self.row == self.top:
            for cells in (self.rows, self.bars):
                cells.insert(self.top, [" " if cells is self.rows else ""] * self.columns)
                del cells[self.bottom + 1]
        else:
            self.row = max(0, self.row - 1)

    def _obey(self, given: str | None, final: str | None, single: str | None, charset: str | None) -> None:
        numbers = [int(one or 0) for one in (given or "").split(";")]
        if single == "D":
            self._index()
        elif single == "M":
            self._reverse_index()
        elif final == "H":
            self.row = max(numbers[0], 1) - 1
            self.column = (max(numbers[1], 1) if len(numbers) > 1 else 1) - 1
            assert self.row <= self.last and self.column < self.columns
        elif final == "J":
            assert numbers == [2]
            self.rows = [[" "] * self.columns for _ in range(self.last + 1)]
            self.bars = [[""] * self.columns for _ in range(self.last + 1)]
        elif final == "K":
            self.rows[self.row][self.column :] = [" "] * (self.columns - self.column)
            self.bars[self.row][self.column :] = [""] * (self.columns - self.column)
        elif final == "m":
            self.sgr = given or ""
        elif final == "r":
            self.top, self.bottom = (numbers[0] - 1, numbers[1] - 1) if given else (0, self.last)
            assert self.top < self.bottom <= self.last
            self.row = self.column = 0
        else:
            assert charset, f"the console should not use {given} {final}"

    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]

    def text(self) -> str:
        return "\n".join(self.lines()) + "\n"
