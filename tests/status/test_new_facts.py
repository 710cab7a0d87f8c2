"""A new fact is one field, a new event one class: journal, snapshot, JSON and its decoder need no more code."""

import json
import os
from dataclasses import dataclass, field

import pytest

from appliance.mail.sentence import Sentence
from appliance.status import events as e
from appliance.status.board import Board
from appliance.status.journal import Journal
from appliance.status.plain import decode_plain
from appliance.status.snapshot import ArrivalFacts, Snapshot
from appliance.status.snapshot_builder import build_snapshot, derive
from appliance.status.text import decode_snapshot, encode_snapshot
from tests.support.clock import HandClock


def test_sentences_travel_with_their_parts() -> None:
    board = Board(HandClock())
    board.publish(e.ListenerDown("imaps", "::", 993, Sentence("%(program)s holds it", program="dovecot")))
    board.publish(e.ConditionFound("settings-error", ("plain", Sentence("line %(line)s", line=3))))
    facts = json.loads(json.dumps(encode_snapshot(board.snapshot())))
    found = next(one for one in facts["conditions"] if one["key"] == "listener-down")
    assert found["sentence"] == "The imaps port 993 is not open: dovecot holds it."
    assert found["sentence_parts"]["values"]["port"] == 993
    again = decode_snapshot(facts)
    assert again == board.snapshot() and encode_snapshot(again) == encode_snapshot(board.snapshot())
    with pytest.raises(TypeError):
        decode_plain(e.ConditionFound, {"key": "x", "sentences": ["a"], "sentences_parts": [{"text": "%(b)s", "values": {"c": 1}}]})


@dataclass(frozen=True, slots=True)
class FanState(e.StateEvent):
    """An event that the server does not have."""

    journal = "fan"
    rpm: int = 0
    sensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostWithUptime(e.HostState):
    """A fact that the host's event does not have."""

    uptime_s: float | None = None


@dataclass(frozen=True, slots=True)
class NewSnapshot(Snapshot):
    fan: FanState = field(default_factory=FanState)
    host: HostWithUptime = field(default_factory=HostWithUptime)


def test_a_new_event_and_a_new_field_reach_journal_json_and_remote_board() -> None:
    reading, writing = os.pipe()
    clock = HandClock()
    journal = Journal(clock, fd=writing, stamped=False)
    board = Board(clock, journal.note)
    board.publish(FanState(900, ("front", "back")))
    board.publish(HostWithUptime("mail.home.example", uptime_s=60.0))
    journal.flush()
    assert os.read(reading, 4096) == b"fan rpm=900 sensors=front,back\n"

    snapshot = build_snapshot(board.state, clock.mono_s(), NewSnapshot)
    facts = json.loads(json.dumps(encode_snapshot(snapshot)))
    assert facts["fan"] == {"rpm": 900, "sensors": ["front", "back"]}
    assert facts["host"]["uptime_s"] == 60.0 and facts["host"]["name"] == "mail.home.example"
    assert decode_snapshot(facts, NewSnapshot) == snapshot
    assert decode_snapshot(facts).host.name == "mail.home.example", "an older program leaves out what it does not know"


def test_a_new_field_of_a_message_reaches_the_recent_ones() -> None:
    @dataclass(frozen=True, slots=True)
    class Scored(e.MessageAccepted):
        spam_score: float = 0.0

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ScoredArrival(Scored):
        at: int

    event = Scored("smtp", "192.0.2.1", "a@far.example", 1, 900, 0.1, "M1", spam_score=4.5)
    assert derive(ScoredArrival, event, at=7).spam_score == 4.5
    assert derive(ArrivalFacts, event, at=7) == ArrivalFacts("smtp", "192.0.2.1", "a@far.example", 1, 900, 0.1, "M1", at=7)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "1"),
        (int, True),
        (str, None),
        (tuple[str, ...], "text"),
        (tuple[str, str], ["one"]),
        (FanState, []),
        (FanState, {"rpm": "fast"}),
        (e.TaskRunning, {}),
    ],
)
def test_a_value_of_another_type_is_refused(kind: type, value: object) -> None:
    with pytest.raises(TypeError):
        decode_plain(kind, value)


def test_unknown_keys_are_left_out_or_refused() -> None:
    assert decode_plain(FanState, {"rpm": 5, "colour": "red"}) == FanState(5)
    with pytest.raises(TypeError, match="colour"):
        decode_plain(FanState, {"rpm": 5, "colour": "red"}, strict=True)
    assert decode_plain(float | None, None) is None and decode_plain(float | None, 1) == 1.0
