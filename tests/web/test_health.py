"""web/health: for programs that watch over servers."""

import json
from collections.abc import Callable
from dataclasses import replace

from appliance.status.events import MessageAccepted, ServerState, StorageState, StorageTrouble
from appliance.web.health import metrics_text
from tests.web.conftest import Web, text_of


async def test_health_is_200_until_something_critical_is_wrong(make_web: Callable[..., Web]) -> None:
    web = make_web(metrics_from_anywhere=True)
    board = web.context.board
    board.publish(ServerState("ready"))
    browser = web.browser(peer="8.8.8.8")
    assert (await browser.get("/health")).status == 200
    board.publish(StorageTrouble("broken", "I/O error"))
    ill = await browser.get("/health")
    document = json.loads(text_of(ill))
    assert ill.status == 503 and document["status"] == "fail"
    assert [one["key"] for one in document["conditions"] if one["severity"] == "critical"] == ["storage-error"]


async def test_metrics_are_openmetrics_and_name_nobody(make_web: Callable[..., Web]) -> None:
    web = make_web()
    board = web.context.board
    board.publish(StorageState(5 * 10**9, 8 * 10**9, 1234, 0))
    board.publish(MessageAccepted("smtp", "192.0.2.1", "friend@far.example", 1, 5000, 0.1, "id", 1))
    response = await web.browser().get("/metrics")
    text = text_of(response)
    assert response.media_type.startswith("application/openmetrics-text") and text.endswith("# EOF\n") and "far.example" not in text
    assert "pillarbox_messages_accepted_total 1\n" in text and "pillarbox_storage_free_octets 5000000000\n" in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names)) > 10
    for line in text.splitlines():
        assert line.startswith("# ") or any(line.startswith(name) for name in names)
    assert "".join(metrics_text(replace(board.snapshot(), running_s=1.5))).count("pillarbox_running_seconds 1.5") == 1
