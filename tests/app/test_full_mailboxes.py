"""The conditions for mailboxes that are full or nearly so."""

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.app.background import nearly_full


@pytest.mark.parametrize(
    ("used", "limit", "words"),
    [(94, 100, ""), (95, 100, "nearly full"), (100, 100, "is full: new messages are deferred"), (180, 100, "is full"), (10**9, None, "")],
)
def test_a_mailbox_by_its_use(used: int, limit: int | None, words: str) -> None:
    listed = (SimpleNamespace(id=1, address="ann@home.example"),)
    accounts = SimpleNamespace(directory=SimpleNamespace(accounts=lambda: listed))
    components: Any = SimpleNamespace(accounts=accounts, store=SimpleNamespace(quota=lambda account: (used, limit)))
    sentences = nearly_full(components)
    assert len(sentences) == bool(words) and all("ann@home.example" in one and words in one for one in sentences)
