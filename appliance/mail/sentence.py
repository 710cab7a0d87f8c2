"""Sentence: an English text for people that knows what it was made of, so that it can be said in another language.

    Sentence("The %(protocol)s port %(port)s is not open.", protocol="smtp", port=25)
    Sentence.counted("%(number)s message waits.", "%(number)s messages wait.", 3)

It is a str: the finished English text, for logs, `--json` and whoever asks for no language. At the edge (a page, the console, a command)
`languages` says it from `text`, the key of the catalogues (gettext's msgid), and `values`, which may be Sentences themselves; a value that
is neither text nor number (a path, an address) is taken as text. A text without values needs no Sentence: it is its own key.
"""

from collections.abc import Mapping
from typing import Any

Value = str | int | float


class Sentence(str):
    """`many` and `number`: the plural form of `text`, and what decides; "" and 0 for a sentence that counts nothing."""

    __slots__ = ("many", "number", "text", "values")
    text: str
    many: str
    number: int
    values: Mapping[str, Value]

    def __new__(cls, text: str, /, **values: object) -> "Sentence":
        return cls._made(text, "", 0, values)

    @classmethod
    def counted(cls, one: str, many: str, number: int, /, **values: object) -> "Sentence":
        """`one` or `many`, with %(number)s filled in as well."""
        return cls._made(one, many, number, {"number": number, **values})

    @classmethod
    def _made(cls, text: str, many: str, number: int, given: Mapping[str, object]) -> "Sentence":
        values = {name: value if isinstance(value, str | int | float) else str(value) for name, value in given.items()}
        pattern = many if many and number != 1 else text
        made = super().__new__(cls, pattern % values if values else pattern)
        made.text, made.many, made.number, made.values = text, many, number, values
        return made


def joined(*texts: str, by: str = " ") -> str:
    """Several texts as one, without the empty ones; what can be said in another language still can."""
    found = [text for text in texts if text]
    if not any(isinstance(text, Sentence) for text in found):
        return by.join(found)
    names = [f"s{index}" for index in range(len(found))]
    return Sentence(by.replace("%", "%%").join(f"%({name})s" for name in names), **dict(zip(names, found, strict=True)))


def enumerated(*texts: str) -> str:
    """One or more texts as people list them: "a", "a and b", "a, b and c"."""
    *first, last = texts
    return Sentence("%(words)s and %(last)s", words=joined(*first, by=", "), last=last) if first else last


def keyed(text: str) -> Sentence:
    """A text that may be a key of the catalogues as a value of another Sentence, where only a Sentence is said in another language."""
    return text if isinstance(text, Sentence) else Sentence(text)


def parts_of(text: str) -> Any:
    """What a Sentence was made of, as JSON can say it; None for any other text, and for one without values, which is its own key."""
    return _parts(text) if isinstance(text, Sentence) and text.values else None


def _parts(text: Sentence) -> dict[str, Any]:
    parts: dict[str, Any] = {"text": text.text, "values": dict(text.values)}
    if text.many:
        parts |= {"many": text.many, "number": text.number}
    if nested := {name: _parts(value) for name, value in text.values.items() if isinstance(value, Sentence)}:
        parts["parts"] = nested
    return parts


def with_parts(text: str, parts: Any) -> Sentence:
    """The Sentence of these parts; of the text alone where there are none, or none that can be read."""
    try:
        return from_parts(parts) if parts else Sentence(text)
    except (TypeError, ValueError):
        return Sentence(text)


def from_parts(parts: Any) -> Sentence:
    """The inverse of `parts_of`. Raises TypeError or ValueError for what is no such thing."""
    if not isinstance(parts, dict) or not isinstance(parts.get("text"), str) or not isinstance(parts.get("values"), dict):
        raise TypeError("a sentence has text and values")
    values = {str(name): value for name, value in parts["values"].items() if isinstance(value, Value)}
    values |= {name: from_parts(value) for name, value in parts.get("parts", {}).items()}
    values.pop("number", None) if parts.get("many") else None
    try:
        if parts.get("many"):
            return Sentence.counted(parts["text"], str(parts["many"]), int(parts["number"]), **values)
        return Sentence(parts["text"], **values)
    except KeyError as error:
        raise TypeError(f"a sentence without its value {error}") from None
