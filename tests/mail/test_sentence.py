"""mail/sentence: English where nobody asks for a language, and parts that travel."""

import json

import pytest

from appliance.mail.sentence import Sentence, enumerated, from_parts, joined, parts_of


def test_a_sentence_is_its_english_text() -> None:
    one = Sentence("The %(name)s port %(port)s is not open.", name="smtp", port=25)
    assert one == "The smtp port 25 is not open." and f"{one}" == one and json.dumps(one) == f'"{one}"'
    assert Sentence("100 % full") == "100 % full"
    counted = [Sentence.counted("%(number)s message", "%(number)s messages", n) for n in (0, 1, 2)]
    assert counted == ["0 messages", "1 message", "2 messages"]


def test_its_parts_travel_as_json() -> None:
    why = Sentence("%(host)s is silent", host="a.example")
    for one in (
        Sentence("The port %(port)s is not open: %(why)s.", port=25, why=why),
        Sentence.counted("%(number)s wrong one from %(host)s", "%(number)s wrong ones from %(host)s", 3, host="b"),
        joined("It waits.", Sentence("Next at %(time)s.", time="14:05"), ""),
    ):
        again = from_parts(json.loads(json.dumps(parts_of(one))))
        assert again == one and again.text == one.text and again.many == one.many and again.values == one.values
    assert parts_of("plain") is None and parts_of(Sentence("nothing to fill in")) is None


@pytest.mark.parametrize(
    "parts", [None, [], {}, {"text": "x"}, {"text": "%(a)s", "values": {}, "parts": {"a": 3}}, {"text": 1, "values": {}}]
)
def test_what_is_no_sentence_is_refused(parts: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_parts(parts)


def test_joined_texts() -> None:
    assert joined("a", "", "b") == "a b" and not isinstance(joined("a", "b"), Sentence)
    both = joined("a 100 %", Sentence("to %(name)s", name="b"), by="\n")
    assert both == "a 100 %\nto b" and isinstance(both, Sentence)


def test_texts_are_listed_as_people_do() -> None:
    assert [str(enumerated(*texts)) for texts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
