"""cli/wording: what commands say in German."""

from pathlib import Path

import pytest

from appliance.cli.wording import in_words
from appliance.mail.errors import NotRunningError, PillarboxError, SetupError
from appliance.mail.sentence import Sentence
from tests.support.catalogues import compile_checkout, forget
from tests.support.server import pillarbox


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_checkout()
    forget()
    monkeypatch.setenv("LANGUAGE", "de")


def test_failures() -> None:
    refused = SetupError(Sentence("There is no alias %(alias)s.", alias="a@b"), "See what there is: pillarbox alias list")
    assert in_words(refused) == "Den Alias a@b gibt es nicht. Was es gibt, zeigt: pillarbox alias list"
    assert in_words(NotRunningError("No server is running.")) == "Es läuft kein Server."
    assert in_words(PillarboxError("what nobody translated")) == "what nobody translated"


def test_a_command(tmp_path: Path) -> None:
    done = pillarbox("account", "list", data=tmp_path / "none", check=False)
    assert done.returncode == 2 and "ist kein Server" in done.stderr
