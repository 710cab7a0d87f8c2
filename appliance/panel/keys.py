"""Octets from a terminal to keys: arrows, digits, characters, Enter, Esc, backspace; sequences may be split anywhere.

A key is a printable character, or one of the names below ("up", "enter", ...). NOISE stands for octets that are no key;
many of them in one call are reported once.

| state  | octet                | next   | key                                                        |
|--------|----------------------|--------|------------------------------------------------------------|
| ground | ESC                  | escape |                                                            |
| ground | CR, LF not after CR  | ground | enter                                                      |
| ground | other C0, DEL        | ground | its name in CONTROLS, or noise                             |
| ground | 20..7E, UTF-8        | ground | the character, or noise                                    |
| escape | [                    | csi    |                                                            |
| escape | O                    | ss3    |                                                            |
| escape | ESC                  | escape | esc (the one before)                                       |
| escape | other                | ground | esc, and the octet is read in ground                          |
| escape | silence (`idle`)     | ground | esc                                                        |
| csi    | 20..3F               | csi    | collected, LONGEST at most; beyond that the sequence is noise |
| csi    | [ first              | linux  | a function key of the Linux console: one more octet        |
| csi    | 40..7E               | ground | its name, or noise                                         |
| any    | C0 within a sequence | ground | the sequence is noise, the octet is read in ground            |

It cannot fail. Memory: at most LONGEST octets of an unfinished sequence and 3 of a character.
"""

import codecs

NOISE = "noise"
LONGEST = 16
"""Octets of parameters in a control sequence; no key sends more."""

CONTROLS = {
    0x03: "ctrl-c", 0x04: "ctrl-d", 0x08: "backspace", 0x09: "tab", 0x0C: "ctrl-l", 0x15: "ctrl-u", 0x7F: "backspace",
}  # fmt: skip
FINALS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "M": "enter", "Z": "tab"}
"""Last characters of CSI and SS3 sequences."""
TILDES = {"1": "home", "3": "backspace", "4": "end", "5": "page up", "6": "page down", "7": "home", "8": "end"}
KEYPAD = {chr(ord("p") + digit): str(digit) for digit in range(10)}
"""SS3 p to y: the digits of a keypad in application mode."""


class Keys:
    """The keys of one terminal."""

    def __init__(self) -> None:
        self._state = "ground"
        self._held = ""
        self._after_cr = False
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def waiting(self) -> bool:
        """A sequence is incomplete: call `idle` when nothing follows for a moment."""
        return self._state != "ground"

    def idle(self) -> list[str]:
        """Nothing followed: a lone ESC was the Esc key; any other beginning is noise."""
        state, self._state, self._held = self._state, "ground", ""
        return [] if state == "ground" else ["esc"] if state == "escape" else [NOISE]

    def feed(self, octets: bytes) -> list[str]:
        """The keys these octets finish; never raises."""
        found: list[str] = []
        for octet in octets:
            if self._state == "escape" and octet not in b"\x1b[O":  # typed quickly: Esc, then another key
                self._state = "ground"
                found.append("esc")
            key = self._take(octet)
            if key and not (key == NOISE and NOISE in found):
                found.append(key)
        return found

    def _take(self, octet: int) -> str:
        after_cr, self._after_cr = self._after_cr, False
        if octet == 0x1B:
            was, self._state, self._held = self._state, "escape", ""
            self._text.reset()
            return "esc" if was == "escape" else "" if was == "ground" else NOISE
        if octet < 0x20 or octet == 0x7F:
            self._state = "ground"
            self._text.reset()
            if octet == 0x0D:
                self._after_cr = True
                return "enter"
            if octet == 0x0A:
                return "" if after_cr else "enter"
            return CONTROLS.get(octet, NOISE)
        if self._state == "ground":
            return self._character(octet)
        if octet >= 0x80:
            self._state = "ground"
            return NOISE
        return self._sequence(chr(octet))

    def _character(self, octet: int) -> str:
        text = self._text.decode(bytes((octet,)))
        if not text:
            return ""
        last = text[-1]
        return last if last.isprintable() and last != "\N{REPLACEMENT CHARACTER}" else NOISE

    def _sequence(self, character: str) -> str:
        state = self._state
        if state == "escape":
            self._state = "csi" if character == "[" else "ss3"
            return ""
        if state == "csi" and character < "@":
            if len(self._held) <= LONGEST:  # one too many marks it as noise
                self._held += character
            return ""
        if state == "csi" and character == "[" and not self._held:
            self._state = "linux"
            return ""
        held, self._state, self._held = self._held, "ground", ""
        if state == "linux" or len(held) > LONGEST:
            return NOISE
        if state == "ss3" and character in KEYPAD:
            return KEYPAD[character]
        if state == "csi" and character == "~":
            return TILDES.get(held.partition(";")[0], NOISE)
        return FINALS.get(character, NOISE)


def moved(key: str, page: int, everything: int) -> int | None:
    """By how many lines a movement key moves; None for any other key."""
    far = (("page up", -page), ("page down", page), ("home", -everything), ("end", everything))
    return next((step for name, step in (("up", -1), ("k", -1), ("down", 1), ("j", 1), *far) if name == key), None)
