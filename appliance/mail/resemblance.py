"""Words that resemble each other: how well a text answers words that were typed from memory (RFC 6203 §3, §4).

Case and accents do not count, nor does the order of the words. A word is found exactly, as the beginning of another one, within one, or
with one slip of the keyboard (a character wrong, missing, too many, or two exchanged). Linear in the text, bounded by TEXT_CHARACTERS.
"""

import re

EXACT, BEGINNING, WITHIN, SLIP = 100, 85, 70, 55
SLIP_CHARACTERS = 4
"""A shorter word with a slip resembles too much."""
WORDS = 12
"""Of what was typed; the others are passed over."""
TEXT_CHARACTERS = 2000

_WORD = re.compile(r"\w+")


def words_of(text: str) -> tuple[str, ...]:
    """The words, without case and accents, each once."""
    return tuple(dict.fromkeys(_WORD.findall(bare(text[:TEXT_CHARACTERS]))))


def bare(text: str) -> str:
    """Without case and accents."""
    if text.isascii():
        return text.lower()
    from unicodedata import combining, normalize  # its tables are large and most text is ASCII

    return "".join([character for character in normalize("NFKD", text.casefold()) if not combining(character)])


def resemblance(typed: tuple[str, ...], text: tuple[str, ...]) -> int:
    """0 when fewer than two of three words are there, else 1 to 100: how well they are met on average."""
    typed = typed[:WORDS]
    if not typed:
        return 0
    scores = [_best(word, text) for word in typed]
    if len(typed) - scores.count(0) < len(typed) - len(typed) // 3:
        return 0
    return max(sum(scores) // len(scores), 1)


def _best(word: str, text: tuple[str, ...]) -> int:
    if word in text:
        return EXACT
    if any(other.startswith(word) for other in text):
        return BEGINNING
    if len(word) < SLIP_CHARACTERS:
        return 0
    if any(word in other for other in text):
        return WITHIN
    return SLIP if any(_one_slip(word, other) for other in text) else 0


def _one_slip(one: str, other: str) -> bool:
    """One character replaced, inserted, left out, or exchanged with the next."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        at += 1
    return (
        one[at + 1 :] == other[at + 1 :]
        or one[at:] == other[at + 1 :]
        or one[at + 1 :] == other[at:]
        or (one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :])
    )
