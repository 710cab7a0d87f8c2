"""delivery/sender_rewriting: a forwarded message's sender comes back from its rewritten form, for a while and only unforged."""

import pytest

from appliance.delivery.sender_rewriting import DAY_S, SenderRewriting
from appliance.mail.address import Address
from appliance.mail.srs import DAYS
from tests.support.clock import HandClock

SENDER = Address("bob.smith", "far.example")


def test_there_and_back() -> None:
    rewriting = SenderRewriting(b"secret", HandClock())
    made = rewriting.rewrite(SENDER, "home.example")
    assert made.domain == "home.example" and made.local.upper().startswith("SRS0=")
    assert rewriting.reverse(made) == SENDER
    assert rewriting.reverse(Address(made.local.swapcase(), made.domain)) is not None, "other servers change the case of local parts"


def test_an_address_that_is_rewritten_already_keeps_its_length_and_its_first_sender() -> None:
    """Each forwarder in a chain rewrites anew; the bounce goes back to the forwarder before (SRS1)."""
    near, far = SenderRewriting(b"near", HandClock()), SenderRewriting(b"far", HandClock())
    first = far.rewrite(SENDER, "forwarder.example")
    second = near.rewrite(first, "home.example")
    assert near.reverse(second) is not None and near.reverse(second) != SENDER
    back = near.reverse(second)
    assert back is not None and back.domain == "forwarder.example" and far.reverse(back) == SENDER


@pytest.mark.parametrize("days", [0, 1, DAYS])
def test_it_lives_as_long_as_other_servers_retry(days: int) -> None:
    clock = HandClock()
    rewriting = SenderRewriting(b"secret", clock)
    made = rewriting.rewrite(SENDER, "home.example")
    clock.step(days * DAY_S)
    assert rewriting.reverse(made) == SENDER


def test_expired_unless_the_clock_cannot_know() -> None:
    clock = HandClock()
    made = SenderRewriting(b"secret", clock).rewrite(SENDER, "home.example")
    clock.step((DAYS + 2) * DAY_S)
    assert SenderRewriting(b"secret", clock).reverse(made) is None
    wrong = HandClock(trusted=False)
    wrong.step((DAYS + 200) * DAY_S)
    assert SenderRewriting(b"secret", wrong).reverse(made) == SENDER, "a bounce is not lost because the battery was empty"


@pytest.mark.parametrize("local", ["SRS0=AAAA=AA=far.example=bob.smith", "SRS0=", "SRS1=", "bob", "SRS0=====", "srs0"])
def test_what_this_server_did_not_write_is_refused(local: str) -> None:
    assert SenderRewriting(b"secret", HandClock()).reverse(Address(local, "home.example")) is None


def test_another_secret_refuses_it() -> None:
    made = SenderRewriting(b"secret", HandClock()).rewrite(SENDER, "home.example")
    assert SenderRewriting(b"other", HandClock()).reverse(made) is None
