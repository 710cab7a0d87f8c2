"""Every sentence in the code has a translation in every catalogue, with the same values, and no catalogue has another."""

import re
from functools import cache

import polib
import pytest

from appliance.languages import translations

PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?([a-zA-Z%]?)")
QUOTED = re.compile(r"`[^`]+`")
FILES = sorted(translations.LANGUAGES.glob("*.po"))


@cache
def sentences() -> dict[tuple[str, str], set[str]]:
    return translations.sentences()


def names_in(text: str) -> set[str]:
    """The values a sentence needs. A bare % is right only in a text without values."""
    found = PLACEHOLDER.findall(text)
    names = {name for name, _ in found if name}
    assert not names or all((name and kind in "sd") or kind == "%" for name, kind in found), f"a % that is no value: {text}"
    return names


def test_german_is_there() -> None:
    assert "de" in [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_catalogue_is_complete_and_nothing_more(path: translations.Path) -> None:
    entries = {(entry.msgid, entry.msgid_plural): entry for entry in polib.pofile(str(path)) if not entry.obsolete}
    missing = [text for text in sentences() if text not in entries or not entries[text].translated()]
    assert not missing, f"{len(missing)} without a translation; `make catalogues` adds them to the file: {missing[:5]}"
    assert not (entries.keys() - sentences().keys()), "sentences that are no longer in the code: `make catalogues` takes them out"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_translations_have_the_values_of_the_sentence(path: translations.Path) -> None:
    for entry in polib.pofile(str(path)):
        for said in entry.msgstr_plural.values() if entry.msgid_plural else (entry.msgstr,):
            assert names_in(said) == names_in(entry.msgid_plural or entry.msgid), entry.msgid
            assert said[:1].isspace() == entry.msgid[:1].isspace() and said[-1:].isspace() == entry.msgid[-1:].isspace(), said
            assert said[-1:] not in ".!?:;," or said[-1] == entry.msgid[-1] or entry.msgid[-1] in ".!?:;,", said


def test_sentences_are_found_where_they_stand() -> None:
    assert [*translations.in_python('_("a"); x.counted("b", "c", n); Sentence(f"{d}"); SetupError("e", "f" "g"); other("h")')] == [
        ("a", ""), ("b", "c"), ("e", ""), ("fg", ""),
    ]  # fmt: skip
    page = '<p>{{ _("a %(b)s", b=1) }}{{ counted("c", "d", 2) }}{{ _(e) }}</p>'
    assert set(translations.in_template(page)) == {("a %(b)s", ""), ("c", "d")}
    assert [*translations.in_script('_("a"), counted( "b", "c \\"d\\"", n)')] == [("a", ""), ("b", 'c "d"')]


FORMATTED = re.compile(rf"\b(?:{'|'.join(translations.KEYWORDS.keys() - {'Record', 'Response'})})\(\s*(?:\w+, )?f[\"']")
PROGRAMMERS = ("appliance/smtpd/extension.py", "appliance/control/exchange.py")
"""What is wrong with the program itself, and what the store says as it is."""


def test_sentences_are_literals() -> None:
    """What is put together at run time is no key."""
    for path in sorted(translations.SOURCE.rglob("*.py")):
        name = path.relative_to(translations.ROOT).as_posix()
        found = FORMATTED.findall(path.read_text(encoding="utf-8"))
        assert not found or name in PROGRAMMERS, f'{name}: Sentence("... %(name)s ...", name=value) in place of {found}'
