"""The codec: every value crosses the socket unchanged; anything else is refused."""

import json
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest

from appliance.control import codec
from appliance.control.codec import decode_request, decode_value, encode_value
from appliance.control.requests import REQUESTS, AddAccount, RequestRefused, Response, Status
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import MisuseError, SetupError

FRAMES = tuple(kind for kind in get_args(codec.Value) if kind not in REQUESTS)
SAMPLES: dict[Any, Any] = {
    str: "ada@home.example",
    int: 7,
    bool: True,
    tuple[str, ...]: ("a", "b"),
    dict[str, Any]: {"n": [1, None]},
    dict[str, str]: {"n": "1"},
}


def sample(kind: Any) -> Any:
    """A value with every field set."""
    hints = get_type_hints(kind)
    return kind(**{one.name: SAMPLES[hints[one.name]] for one in fields(kind)})


@pytest.mark.parametrize("kind", (*REQUESTS, *FRAMES), ids=lambda kind: kind.__name__)
def test_every_value_survives_json(kind: Any) -> None:
    value = sample(kind)
    assert decode_value(json.loads(json.dumps(encode_value(value))), kind) == value
    if kind in REQUESTS:
        assert decode_request(encode_value(value)) == value


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"type": "Response", "text": "", "facts": {}},
        {"type": "Fly"},
        {"type": 5},
        {"type": "AddAccount"},
        {"type": "AddAccount", "address": 5},
        {"type": "AddAccount", "address": "a@b.example", "quota_mb": "1"},
        {"type": "AddAccount", "address": "a@b.example", "colour": "red"},
    ],
)
def test_a_request_of_another_version_is_refused_with_a_remedy(words: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match="restart it"):
        decode_request(words)


def test_defaults_fill_what_is_missing() -> None:
    assert decode_request({"type": "AddAccount", "address": "a@b.example"}) == AddAccount("a@b.example")
    assert decode_request({"type": "Status"}) == Status()


def test_only_the_expected_kinds_are_taken() -> None:
    with pytest.raises(MisuseError):
        decode_value(encode_value(Response("done")), RequestRefused, ImportedMessage)
    assert decode_value(encode_value(RequestRefused("No.", "Try.")), RequestRefused) == RequestRefused("No.", "Try.")


def test_passwords_are_not_printed() -> None:
    assert "secret" not in repr(AddAccount("a@b.example", "secret"))
