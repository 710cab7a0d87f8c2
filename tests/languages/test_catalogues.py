"""languages/catalogues: what a catalogue says, which there are, and what is loaded when."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.languages.catalogues import ENGLISH, catalogue, language_of_environment, languages, script_catalogue
from appliance.mail.sentence import Sentence
from tests.support.catalogues import compile_checkout, forget, pseudo_language


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    compile_checkout()
    forget()
    yield
    forget()


def test_english_needs_no_catalogue() -> None:
    said = Sentence("%(name)s was added.", name="ada")
    assert ENGLISH("No.") == "No." and ENGLISH(said) == "ada was added." and ENGLISH("%(a)s is %(b)s", a=1, b="x") == "1 is x"
    assert ENGLISH.counted("%(number)s message", "%(number)s messages", 1200) == "1,200 messages"
    code = "import sys\nfrom appliance.languages.catalogues import catalogue\ncatalogue('en')('x')\nprint('gettext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_german_says_sentences_with_their_values() -> None:
    _ = catalogue("de")
    assert languages()[0] == ("en", "English") and ("de", "Deutsch") in languages()
    assert _("Sign in") == "Anmelden" and _("%(address)s was added.", address="a@b") == "a@b wurde angelegt."
    assert _(Sentence("%(used)s of %(limit)s", used="1", limit=Sentence("none"))) == "1 von keine"
    assert _("no such text in the catalogue") == "no such text in the catalogue" and _("") == ""
    one, many = "%(number)s message is waiting to be sent.", "%(number)s messages are waiting to be sent."
    assert _.counted(one, many, 1) == "1 Nachricht wartet auf den Versand."
    assert _(Sentence.counted(one, many, 2)) == "2 Nachrichten warten auf den Versand."
    assert _.number(1234567.5) == "1.234.567,5" and _.date == "%d.%m.%Y"


def test_an_unknown_language_and_a_damaged_file_are_english(tmp_path: Path) -> None:
    with pseudo_language(tmp_path):
        assert [tag for tag, _ in languages()] == ["en", "de"] and catalogue("de")("Sign in") == "⟦Sign in⟧"
        (tmp_path / "fr.mo").write_bytes(b"nothing")
        forget()
        assert catalogue("fr") is ENGLISH and catalogue("../de") is ENGLISH and ("fr", "fr") in languages()


@pytest.mark.parametrize(
    ("environment", "tag"),
    [({"LANG": "de_DE.UTF-8"}, "de"), ({"LANG": "C.UTF-8"}, "en"), ({}, "en"), ({"LC_ALL": "en_GB", "LANG": "de_DE"}, "en"),
        ({"LANGUAGE": "xx:de:en", "LANG": "en_US"}, "de"), ({"LC_MESSAGES": "de@euro"}, "de"), ({"LANG": "\N{SNOWMAN}"}, "en")],
)  # fmt: skip
def test_the_language_of_whoever_types_a_command(environment: dict[str, str], tag: str) -> None:
    assert language_of_environment(environment).tag == tag


def test_scripts_have_a_catalogue_too() -> None:
    german = json.loads(script_catalogue("de"))
    assert german["plurals"][:4] == "1011" and len(german["plurals"]) == 200
    assert json.loads(script_catalogue("en"))["texts"] == {} == json.loads(script_catalogue("xx"))["texts"]
