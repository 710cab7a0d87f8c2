"""How it looks where the text is larger, or the user's system has its own colours."""

from typing import TYPE_CHECKING

import pytest

from tests.support.wire import eventually
from tests.web.browser import violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLACE = "document.getElementById('list').scrollTop / document.querySelector('.row').offsetHeight"
OVERLAPS = """Array.from(document.querySelectorAll(".row"), (row) => row.getBoundingClientRect())
    .filter(({ bottom }, at, all) => at + 1 < all.length && Math.abs(bottom - all[at + 1].top) > 2).length"""


def test_rows_are_as_high_as_their_text_and_the_place_stays(ada: "Page") -> None:
    """WCAG 2.2 §1.4.4: text of twice the size, chosen while the page is open."""
    ada.locator("#list").evaluate("(list) => list.scrollBy(0, 10 * document.querySelector('.row').offsetHeight)")
    assert eventually(lambda: 9.5 < ada.evaluate(PLACE) < 10.5)
    for size in ("32px", "16px"):
        ada.evaluate(f"document.documentElement.style.fontSize = '{size}'")
        assert eventually(lambda: ada.evaluate(OVERLAPS) == 0 and 9.5 < ada.evaluate(PLACE) < 10.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_tell_what_is_chosen(ada: "Page", scheme: str) -> None:
    ada.emulate_media(forced_colors="active", color_scheme=scheme)  # type: ignore[arg-type]
    try:
        assert not violations(ada)
        assert ada.locator("#folder-list a[aria-current]").evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"
    finally:
        ada.emulate_media(forced_colors="none", color_scheme="light")
