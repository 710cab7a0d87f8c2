"""app/queue_text: durations, and the lines of a message's timeline."""

import pytest

from appliance.app.queue_text import span, timeline
from appliance.queue.history import HistoryLine


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (1.4, "1 second"), (45, "45 seconds"), (60, "1 minute"), (300, "5 minutes"), (86_400, "1 day")],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    "event", ["accepted", "deferred", "sent", "bounced", "expired", "held", "released", "retried", "rerouted", "cancelled"]
)
def test_every_event_is_a_line_even_without_facts(event: str) -> None:
    lines = timeline([HistoryLine("abc", 1_795_890_000, event, {})])
    assert len(lines.text.splitlines()) == 2 and "{" not in lines.text
    assert lines.facts["events"] == [{"at": 1_795_890_000, "event": event}]


def test_a_host_that_was_not_reached_is_only_listed_as_tried() -> None:
    facts = {"to": ["a@x.example"], "text": "mx could not be reached.", "met": [("mx", "192.0.2.1", 25, "", "", "", 0)], "again_s": 1}
    text = timeline([HistoryLine("abc", 1_795_890_000, "deferred", facts)]).text
    assert "tried mx [192.0.2.1]:25" in text and "Tried again in 1 second." in text and "reached mx" not in text
