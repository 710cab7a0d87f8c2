"""A few of the kills of `draft_kills`."""

from pathlib import Path

from tests.support.server import Pillarbox, new_data
from tests.web.browser import PROTOCOLS, chromium
from tests.web.webmail.draft_kills import run
from tests.web.webmail.mailing import deliver, message


def test_what_was_typed_outlives_the_tab_and_a_save_that_was_never_answered(tmp_path: Path) -> None:
    with Pillarbox(new_data(tmp_path / "data", "ada"), protocols=PROTOCOLS) as server, chromium(server) as browser:
        deliver(server, message("Hello", "text\n"))
        run(server, browser, ["tab", "server while saving"])
