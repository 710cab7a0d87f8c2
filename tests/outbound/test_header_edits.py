"""outbound/header_edits: repaired lines, folds, and one declared transfer encoding; what is right already stays octet for octet."""

import email
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.outbound.header_edits import declare_container_7bit, declare_encoding, fold_lines, repair_lines


@pytest.mark.parametrize(
    ("block", "repaired"),
    [
        (b"A: b\r\nC: d\r\n\r\n", b"A: b\r\nC: d\r\n\r\n"),
        (b"A: b\nC: d\r\n", b"A: b C: d\r\n"), (b"A: b\rC: d\r\n", b"A: b C: d\r\n"), (b"A: b\r\r\n", b"A: b \r\n"),
        (b"A: b\n\r\nC: d\r\n", b"A: b \r\nC: d\r\n"), (b"A: \0b\0\r\n", b"A: b\r\n"), (b"A: b\r\0\n", b"A: b\r\n"), (b"", b""),
    ],
)  # fmt: skip
def test_bare_line_ends_and_nul(block: bytes, repaired: bytes) -> None:
    """No octet that one reader takes for a line end and another does not (RFC 5322 §2.2)."""
    assert repair_lines(block) == repaired


@given(st.binary(max_size=200))
def test_a_repaired_header_has_whole_line_ends_only_and_is_repaired_once(block: bytes) -> None:
    made = repair_lines(block)
    rest = made.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest and b"\0" not in rest
    assert repair_lines(made) == made


def test_long_lines_are_folded_at_spaces_and_say_the_same() -> None:
    value = b" ".join(b"word%d" % number for number in range(400))
    block = b"Subject: " + value + b"\r\nTo: a@b.example\r\n\r\n"
    made = fold_lines(block)
    assert max(map(len, made.split(b"\r\n"))) <= 998 and made.endswith(b"\r\nTo: a@b.example\r\n\r\n")
    assert made.replace(b"\r\n ", b" ") == block, "unfolded it is what it was (RFC 5322 §2.2.3)"


@pytest.mark.parametrize("block", [b"Subject: " + b"x" * 989 + b"\r\n\r\n", b"Subject:" + b"x" * 5000 + b"\r\nTo: a@b.example\r\n\r\n"])
def test_a_line_that_fits_or_has_no_space_stays(block: bytes) -> None:
    assert fold_lines(block) == block


def test_a_long_word_is_folded_before_and_after_it_and_no_line_is_blank() -> None:
    block = b"Subject: a  " + b"x" * 3000 + b" b c\r\n\r\n"
    made = fold_lines(block)
    assert made == b"Subject: a \r\n " + b"x" * 3000 + b"\r\n b c\r\n\r\n"
    assert fold_lines(b"Subject: " + b" " * 2000 + b"x\r\n\r\n") == b"Subject: " + b" " * 1999 + b"\r\n x\r\n\r\n"


@pytest.mark.parametrize(
    ("block", "root", "made"),
    [
        (b"Content-Type: text/plain\r\n\r\n", False, b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
        (
            b"Subject: x\r\n\r\n", True,
            b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
            b"MIME-Version: 1.0\r\n\r\n",
        ),
        (
            b"mime-version: 1.0\r\ncontent-type: text/html\r\ncontent-transfer-encoding: 8bit\r\n\r\n", True,
            b"mime-version: 1.0\r\ncontent-type: text/html\r\ncontent-transfer-encoding: quoted-printable\r\n\r\n",
        ),
        (
            b"Content-Transfer-Encoding: 8bit\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n", False,
            b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain\r\n\r\n",
        ),
        (
            b"Content-Transfer-Encoding:\r\n 8bit\r\nContent-Type: text/plain\r\n\r\n", False,
            b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain\r\n\r\n",
        ),
        (b"\r\n", False, b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\r\n"),
        (b"", False, b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\r\n"),
    ],
)  # fmt: skip
def test_one_encoding_is_declared(block: bytes, root: bool, made: bytes) -> None:
    assert declare_encoding(block, root=root, encoding=b"quoted-printable") == made


def test_a_header_without_its_last_line_end_keeps_its_last_field() -> None:
    made = declare_encoding(b"Content-Type: text/html", root=False, encoding=b"base64")
    read = email.message_from_bytes(made, policy=policy.SMTP)
    assert read.get_content_type() == "text/html" and read["Content-Transfer-Encoding"] == "base64"


def test_a_container_declares_7bit_only_where_it_declared_something() -> None:
    """RFC 2045 §6.4: a multipart is 7bit, 8bit or binary."""
    assert declare_container_7bit(b"Content-Type: multipart/mixed\r\n\r\n") == b"Content-Type: multipart/mixed\r\n\r\n"
    assert declare_container_7bit(b"Content-Transfer-Encoding: 8bit\r\nA: b\r\n\r\n") == b"Content-Transfer-Encoding: 7bit\r\nA: b\r\n\r\n"
