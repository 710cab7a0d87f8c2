"""Catalogues and the languages there are: `catalogue("de")("No such page.")` is the sentence in German.

A catalogue is loaded when it is first asked for and stays; English needs none. A text without a translation is shown as it stands:
what other servers said, names and addresses are such texts. How it fails: a file that cannot be read counts as not there.
"""

import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from appliance.mail.sentence import Sentence

DIRECTORY = Path(__file__).parent
SOURCE = "en"
NAME_FIELD = "X-Language-Name"
MAGIC = 0x950412DE
NOTHING = b'{"texts": {}, "plurals": ""}'
ENVIRONMENT = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Where a command finds the user's language, the first that is set (gettext(3), environ(7))."""

CHARACTERS = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
    "„": '"', "“": '"', "”": '"', "‚": "'", "‘": "'", "’": "'", "…": "...", "–": "-", "—": "-", "\u00a0": " ",
})  # fmt: skip
"""How a terminal that has only ASCII shows them."""

Lookup = Callable[[str], str]
PluralLookup = Callable[[str, str, int], str]


@dataclass(frozen=True, slots=True)
class Language:
    """`gettext` and `ngettext` of one catalogue, and how numbers and dates (strftime) are written."""

    tag: str
    gettext: Lookup
    ngettext: PluralLookup
    decimal: str = "."
    thousands: str = ","
    date: str = "%Y-%m-%d"

    def __call__(self, text: str, /, **values: Any) -> str:
        """The sentence in this language, its %(name)s filled in; a Sentence is said with the values it has."""
        if isinstance(text, Sentence):
            return self._said(text)
        found = self.gettext(text) if text else ""
        return found % {name: self._value(value) for name, value in values.items()} if values else found

    def counted(self, one: str, many: str, number: int, **values: Any) -> str:
        """`one` or `many` in this language, with %(number)s filled in."""
        return self.ngettext(one, many, number) % {"number": self.number(number), **values}

    def number(self, number: float) -> str:
        """With a mark between thousands, as this language writes it."""
        return f"{number:,}".translate({ord(","): self.thousands, ord("."): self.decimal})

    def _said(self, text: Sentence) -> str:
        values = {name: self._value(value) for name, value in text.values.items()}
        pattern = self.ngettext(text.text, text.many, text.number) if text.many else self.gettext(text.text)
        return pattern % values if values else pattern

    def _value(self, value: Any) -> Any:
        return self._said(value) if isinstance(value, Sentence) else value


ENGLISH = Language(SOURCE, lambda text: text, lambda one, many, number: one if number == 1 else many)


@cache
def languages() -> tuple[tuple[str, str], ...]:
    """Tag and own name of each language, English first."""
    found = [(path.stem, _header(path).get(NAME_FIELD.lower(), path.stem)) for path in sorted(DIRECTORY.glob("*.mo"))]
    return ((SOURCE, "English"), *found)


def tags() -> tuple[str, ...]:
    return tuple(tag for tag, _ in languages())


@cache
def catalogue(tag: str) -> Language:
    """The catalogue of a language; English for one that has none."""
    if tag == SOURCE or tag not in tags():
        return ENGLISH
    from gettext import GNUTranslations

    try:
        with (DIRECTORY / f"{tag}.mo").open("rb") as file:
            found = GNUTranslations(file)
    except (OSError, ValueError, UnicodeError):
        return ENGLISH
    marks = {name: given for name in ("decimal", "thousands", "date") if (given := found.info().get(f"x-{name}"))}
    return Language(tag, found.gettext, found.ngettext, **marks)


@cache
def in_ascii(language: Language) -> Language:
    """The same for a terminal that shows no other characters: its sentences only, what they name stays."""
    if language is ENGLISH:
        return language
    say, count = language.gettext, language.ngettext
    return replace(
        language,
        gettext=lambda text: say(text).translate(CHARACTERS),
        ngettext=lambda one, many, number: count(one, many, number).translate(CHARACTERS),
    )


def language_of_environment(environment: Mapping[str, str]) -> Language:
    """The language of whoever typed a command: "de_DE.UTF-8" is German."""
    wanted = next((environment[name] for name in ENVIRONMENT if environment.get(name)), "")
    for one in wanted.split(":"):
        tag = one.partition(".")[0].partition("@")[0].partition("_")[0].lower()
        if tag in tags():
            return catalogue(tag)
    return ENGLISH


def script_catalogue(tag: str) -> bytes:
    """What the scripts of pages say, as JSON (`translations` describes it); an empty one for English."""
    if tag in tags() and tag != SOURCE:
        with suppress(OSError):
            return (DIRECTORY / f"{tag}.json").read_bytes()
    return NOTHING


def _header(path: Path) -> dict[str, str]:
    """The header of a compiled catalogue, read without the rest: the translation of "", which is sorted first."""
    try:
        with path.open("rb") as file:
            magic, _version, _count, _texts, table = struct.unpack("<5I", file.read(20))
            file.seek(table)
            length, place = struct.unpack("<2I", file.read(8))
            file.seek(place)
            lines = file.read(length).decode() if magic == MAGIC else ""
    except (OSError, ValueError, struct.error):
        return {}
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines.splitlines())}
