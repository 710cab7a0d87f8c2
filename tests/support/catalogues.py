"""Catalogues for tests: those of the checkout compiled, and a pseudo-language in which every sentence is ⟦in brackets⟧."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polib
import pytest

from appliance.languages import catalogues, translations
from appliance.languages.catalogues import ENGLISH, Language

BRACKETS = re.compile(r"⟦[^⟦⟧]*⟧")
DATA = re.compile(
    r"\d[\d.,]*\s?(B|kB|MB|GB|TB|ms|min|h|d|C|%)\b|[0-9a-f]*:[0-9a-f:]+"
    r"|[\w.+-]+@[\w.-]+|[\w-]+(\.[\w-]+)+|/[\w./-]+"  # addresses, host names, files
    r"|\b(Pillarbox|SHA-256|AB:CD|Ada Smith|Test|GPIO|POP3)\b"
    r"|\b(smtp|imap|pop3|https?|submissions?|imaps|pop3s)\b|\b(MX|AAAA?|TXT|SRV|PTR|A)\b|\b(SSL/TLS|STARTTLS)\b"
    r"|\d[\d.,]*\s?(B|kB|MB|GB|TB|ms|min|h|d|%)?"
)
"""What is shown as it is."""


def compile_checkout() -> None:
    """What `make setup` does; once in a checkout."""
    translations.compile_stale()


@contextmanager
def pseudo_language(place: Path, tag: str = "de") -> Iterator[None]:
    """While it lasts, `tag` is the pseudo-language and the only one beside English."""
    made = polib.POFile(wrapwidth=0)
    made.metadata = {"Language": tag, "Content-Type": "text/plain; charset=UTF-8", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
    for text, many in translations.sentences():
        if many:
            made.append(polib.POEntry(msgid=text, msgid_plural=many, msgstr_plural={0: f"⟦{text}⟧", 1: f"⟦{many}⟧"}))
        else:
            made.append(polib.POEntry(msgid=text, msgstr=f"⟦{text}⟧"))
    made.save_as_mofile(str(place / f"{tag}.mo"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogues, "DIRECTORY", place)
        forget()
        yield
    forget()


def foreign_characters(language: Language = ENGLISH) -> Language:
    """English with other characters in every sentence of the catalogues, as many as before: what stays in ASCII was not said by it."""
    known = {key for pair in translations.sentences() for key in pair}

    def said(text: str) -> str:
        return (
            _SENTENCE_PARTS.sub(lambda found: found[0] if found[0].startswith("%") else _other(found[0]), text) if text in known else text
        )

    return replace(language, tag="xx", gettext=said, ngettext=lambda one, many, number: said(one if number == 1 else many))


_SENTENCE_PARTS = re.compile(r"%\(\w+\)s|[a-zA-Z]")


def _other(character: str) -> str:
    if character.startswith("%"):
        return character
    return chr(ord(character) - ord("a") + 0x430) if character.islower() else chr(ord(character) - ord("A") + 0x410)


def left_in_english(text: str) -> str:
    """What is neither in foreign characters nor data; "" where all is said."""
    left = DATA.sub("", text)
    return left if re.search(r"[a-zA-Z]", left) else ""


def forget() -> None:
    """Read the catalogues again when they are next asked for."""
    catalogues.languages.cache_clear()
    catalogues.catalogue.cache_clear()


def outside_brackets(text: str) -> str:
    """What did not come out of the catalogue; sentences within sentences are peeled off from the innermost."""
    while (peeled := BRACKETS.sub("", text)) != text:
        text = peeled
    return text


def is_worded(text: str) -> bool:
    """Does all of a text come out of the catalogue, but for data?"""
    return not re.search(r"[^\W\d_]", DATA.sub("", outside_brackets(text)))
