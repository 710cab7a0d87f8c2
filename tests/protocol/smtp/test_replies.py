"""Replies: one well-formed reply goes out whatever its text, and comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.mail.reply import Reply
from appliance.protocol.smtp.replies import encode_reply, is_last_line, parse_reply


def test_one_line_and_many() -> None:
    assert encode_reply(Reply(250, "2.1.0", ("Fine.",))) == b"250 2.1.0 Fine.\r\n"
    assert encode_reply(Reply(250, "", ("a", "SIZE 7"))) == b"250-a\r\n250 SIZE 7\r\n"
    assert encode_reply(Reply(214, "2.0.0", ("a", "b"))) == b"214-2.0.0 a\r\n214 2.0.0 b\r\n"


LINES = st.lists(st.text(max_size=700), min_size=1, max_size=4).map(tuple)


@given(st.integers(200, 599), st.sampled_from(["", "2.0.0", "4.2.2", "5.7.1"]), LINES)
def test_whatever_the_text_one_reply_goes_out(code: int, status: str, lines: tuple[str, ...]) -> None:
    octets = encode_reply(Reply(code, status, lines))
    sent = octets.split(b"\r\n")
    assert sent.pop() == b""
    assert len(sent) == len(lines)
    assert all(len(line) <= 510 and not set(line) & set(range(32)) for line in sent)
    assert [is_last_line(line) for line in sent] == [False] * (len(sent) - 1) + [True]
    back = parse_reply(sent)
    assert back.code == code


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80).filter(lambda text: not text[:1].isdigit())


@given(st.integers(200, 599), st.sampled_from(["", "2.0.0", "4.2.2", "5.7.1"]), st.lists(WORDS, min_size=1, max_size=4).map(tuple))
def test_encoded_replies_are_parsed_again(code: int, status: str, lines: tuple[str, ...]) -> None:
    reply = Reply(code, status, lines)
    assert parse_reply(encode_reply(reply).split(b"\r\n")[:-1]) == reply


@pytest.mark.parametrize("lines", [[], [b""], [b"25"], [b"150 x"], [b"250-a"], [b"250 a", b"250 b"], [b"250-a", b"251 b"], [b"2500 a"]])
def test_what_is_no_reply(lines: list[bytes]) -> None:
    with pytest.raises(MisuseError):
        parse_reply(lines)


def test_kinds() -> None:
    assert Reply(250, "", ("",)).positive and Reply(354, "", ("",)).positive
    assert Reply(452, "", ("",)).temporary and Reply(550, "", ("",)).permanent
    assert str(Reply(550, "5.1.1", ("Nobody", "here."))) == "550 5.1.1 Nobody here."
