"""Words that resemble each other (RFC 6203)."""

import time

import pytest

from appliance.mail.resemblance import BEGINNING, EXACT, SLIP, WITHIN, resemblance, words_of


def score(typed: str, text: str) -> int:
    return resemblance(words_of(typed), words_of(text))


@pytest.mark.parametrize(
    ("typed", "text", "wanted"),
    [
        ("helo", "Hello there", SLIP),
        ("Helo", "help!", SLIP),
        ("hlelo", "hello", SLIP),
        ("helllo", "hello", SLIP),
        ("hello", "HELLO", EXACT),
        ("cafe", "Café", EXACT),
        ("Grüße", "GRUSSE", EXACT),
        ("work", "working on it", BEGINNING),
        ("board", "keyboard", WITHIN),
        ("imap break", "break the imap", EXACT),
        ("holiday photos beach", "Photos of our holiday", (EXACT + EXACT) // 3),
        ("holiday photos", "photos", 0),
        ("at", "cat", 0),
        ("hello", "yellow mellow", 0),
        ("", "anything", 0),
        ("?", "anything", 0),
    ],
)
def test_scores(typed: str, text: str, wanted: int) -> None:
    assert score(typed, text) == wanted


def test_better_matches_score_higher() -> None:
    assert score("dinner friday", "Dinner on Friday") > score("dinner friday", "Dinners on Fridays") > score("diner friday", "Dinnre")


def test_hostile_texts_end_soon() -> None:
    began = time.process_time()
    score("a" * 100_000 + " b" * 50_000, "a" * 100_000 + " ab" * 100_000)
    score("x " * 1000, "y" * 2000)
    assert time.process_time() - began < 2
