"""The language of a response: every sentence a page shows goes through `_`, by the catalogue of the session's language.

The source text is the key (gettext); a language without a catalogue shows it as it stands. `known` languages are rows of
LANGUAGES; the first is the source.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.mail.errors import SetupError
from appliance.protocol.http.negotiation import best_language

LANGUAGES: tuple[tuple[str, str], ...] = (("en", "English"),)
"""Tag and own name of each language that has a catalogue."""

Lookup = Callable[[str], str]
PluralLookup = Callable[[str, str, int], str]


@dataclass(frozen=True, slots=True)
class Language:
    """`gettext` and `ngettext` of one catalogue."""

    tag: str
    gettext: Lookup
    ngettext: PluralLookup

    def __call__(self, text: str, /, **values: Any) -> str:
        """The sentence in this language, its %(name)s filled in."""
        found = self.gettext(text)
        return found % values if values else found

    def counted(self, one: str, many: str, number: int) -> str:
        """`one` or `many` in this language, with %(number)s filled in."""
        return self.ngettext(one, many, number) % {"number": f"{number:,}"}


ENGLISH = Language("en", lambda text: text, lambda one, many, number: one if number == 1 else many)


def tags() -> tuple[str, ...]:
    return tuple(tag for tag, _ in LANGUAGES)


def language_of(chosen: str, accepted: str) -> Language:
    """The session's or the cookie's choice; without one, what the browser prefers (Accept-Language)."""
    return catalogue(chosen if chosen in tags() else best_language(accepted, tags()))


def catalogue(tag: str) -> Language:
    """The catalogue of a known language."""
    return ENGLISH


def refusal_text(error: SetupError, _: Language) -> str:
    """A refusal in words for a page: a remedy that is a command is left out, since pages have buttons."""
    remedy = "" if "pillarbox " in error.remedy else error.remedy
    return f"{_(error.problem)} {_(remedy) if remedy else ''}".strip()
