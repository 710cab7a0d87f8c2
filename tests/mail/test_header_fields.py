"""Header fields collected from lines fed in any portions."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.header_fields import OF_A_MESSAGE, OF_A_PART, HeaderFieldsReader, message_header_fields
from appliance.mail.limits import HEADER_OCTETS


def test_added_fields_are_collected_like_those_of_a_message() -> None:
    header_fields = message_header_fields(
        b"Received: x\r\n\ty\r\nFrom: a@b\r\nReceived: z\r\nDate: one\r\nX-Other: no\r\nDate:  two\r\n three\r\n"
    )
    assert header_fields == {b"received": [b"", b""], b"from": [b"a@b"], b"date": [b"two\n three"]}
    assert message_header_fields(b"") == {}


def test_names_match_in_any_case_and_before_white_space() -> None:
    assert message_header_fields(b"SUBJECT \t: a\r\n: b\r\nno colon\r\n folded to nothing\r\n") == {b"subject": [b"a"]}


def test_leading_white_space_is_removed_unless_there_is_nothing_else() -> None:
    assert message_header_fields(b"Subject: \t a \r\nFrom:   \r\nTo:\r\n") == {b"subject": [b"a "], b"from": [b"  "], b"to": [b""]}


def test_nul_becomes_0x80() -> None:
    assert message_header_fields(b"Subject: a\0b\r\n") == {b"subject": [b"a\x80b"]}


def test_subject_is_not_collected_from_a_part() -> None:
    reader = HeaderFieldsReader(OF_A_PART)
    reader.take(b"Subject: a\r\nContent-ID: <b>\r\n")
    assert reader.header_fields() == {b"content-id": [b"<b>"]}


def test_collected_values_are_limited() -> None:
    reader = HeaderFieldsReader(OF_A_MESSAGE)
    for _ in range(100):
        reader.take(b"To: " + b"x" * 10_000 + b"\r\n")
    kept = sum(map(len, reader.header_fields()[b"to"]))
    assert HEADER_OCTETS <= kept <= HEADER_OCTETS + 20_000


LINES = st.lists(
    st.sampled_from([b"From: a@b", b" folded", b"\tfolded", b"Subject:", b"no colon", b"Date: x", b"", b"Received: y"]), min_size=1
)


@given(LINES, st.integers(0, 10))
def test_portions_make_no_difference(lines: list[bytes], cut: int) -> None:
    whole, portions = HeaderFieldsReader(OF_A_MESSAGE), HeaderFieldsReader(OF_A_MESSAGE)
    whole.take(b"".join([line + b"\r\n" for line in lines]))
    for portion in (lines[:cut], lines[cut:]):
        if portion:
            portions.take(b"".join([line + b"\r\n" for line in portion]))
    assert portions.header_fields() == whole.header_fields()
