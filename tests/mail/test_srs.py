"""SRS addresses: rewritten, reversed, and refused when another server made them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.srs import DAYS, reverse, rewrite

SECRET = b"s" * 32
DAY = 20_800
LOCALS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), min_size=1, max_size=60)
SENDERS = st.builds(Address, LOCALS, st.sampled_from(["far.example", "müller.example", "a.b.c.example"]))


@given(SENDERS, st.integers(0, DAYS), st.sampled_from([DAY, 1023, 1024, 5]))
def test_what_was_rewritten_is_found_again(sender: Address, later: int, day: int) -> None:
    ours = rewrite(sender, "home.example", secret=SECRET, day=day)
    assert ours.domain == "home.example" and ours.local.isascii()
    back = parse_address(encode_address(ours))
    assert reverse(back, secret=SECRET, day=day + later) == sender or sender.local[:5].upper().startswith("SRS")
    assert reverse(Address(ours.local.lower(), ours.domain), secret=SECRET, day=None) is not None


@given(SENDERS, st.integers(0, 300), st.characters(min_codepoint=33, max_codepoint=126))
def test_nothing_else_is(sender: Address, place: int, message: str) -> None:
    ours = rewrite(sender, "home.example", secret=SECRET, day=DAY)
    place %= len(ours.local)
    forged = ours.local[:place] + message + ours.local[place + 1 :]
    if forged.lower() != ours.local.lower():
        found = reverse(Address(forged, ours.domain), secret=SECRET, day=DAY)
        assert found is None or place < 5
    assert reverse(ours, secret=b"other" * 6, day=DAY) is None


def test_it_ends() -> None:
    ours = rewrite(Address("ada", "far.example"), "home.example", secret=SECRET, day=DAY)
    assert reverse(ours, secret=SECRET, day=DAY + DAYS) and reverse(ours, secret=SECRET, day=DAY + DAYS + 1) is None
    assert reverse(ours, secret=SECRET, day=None) == Address("ada", "far.example")


def test_a_chain_of_servers_grows_no_longer() -> None:
    first = rewrite(Address("ada", "far.example"), "one.example", secret=b"1" * 32, day=DAY)
    second = rewrite(first, "two.example", secret=b"2" * 32, day=DAY)
    third = rewrite(second, "three.example", secret=b"3" * 32, day=DAY)
    assert second.local.startswith("SRS1=") and third.local.startswith("SRS1=") and len(third.local) == len(second.local)
    assert reverse(third, secret=b"3" * 32, day=DAY) == first, "straight back to who rewrote first"
    assert reverse(first, secret=b"1" * 32, day=DAY) == Address("ada", "far.example")


@pytest.mark.parametrize(
    "local", ["ada", "SRS0", "SRS0=", "SRS0=AAAA", "SRS0=AAAAAA=BB=x", "SRS1=AAAA=first.example==", "SRS0==AA=far.example=ada", "srs1=a=b"]
)
def test_what_looks_like_it_and_is_not(local: str) -> None:
    assert reverse(Address(local, "home.example"), secret=SECRET, day=DAY) is None


def test_too_long_stays_as_it_is() -> None:
    sender = Address("x" * 240, "far.example")
    assert rewrite(sender, "home.example", secret=SECRET, day=DAY) == sender
