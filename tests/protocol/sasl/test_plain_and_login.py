"""PLAIN and LOGIN: what they accept, and everything they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.sasl.login import LoginMechanism
from appliance.protocol.sasl.mechanism import Challenge, CheckPassword, Failed
from appliance.protocol.sasl.plain import Plain


def test_plain_of_rfc_4616() -> None:
    assert Plain().step(b"\0tim\0tanstaaftanstaaf") == CheckPassword("tim", "tanstaaftanstaaf")
    assert isinstance(Plain().step(b"Ursel\0Kurt\0xipj3plmq"), Failed)  # §4: acting for another account


def test_plain_without_an_initial_response_sends_an_empty_challenge() -> None:
    mechanism = Plain()
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step("anna\0anna\0pässword".encode()) == CheckPassword("anna", "pässword")


@pytest.mark.parametrize(
    "response",
    [b"", b"\0", b"\0\0", b"\0anna\0", b"\0\0secret", b"anna", b"\0anna", b"\0anna\0se\0cret", b"\0\xff\0secret", b"\0anna\0\xff",
     b"\0" + b"a" * 321 + b"\0x", b"\0anna\0" + b"x" * 1025],
)  # fmt: skip
def test_plain_refuses(response: bytes) -> None:
    assert isinstance(Plain().step(response), Failed)


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Plain().step(b"\0anna\0hidden"))


def test_login_asks_for_name_and_password() -> None:
    mechanism = LoginMechanism()
    assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(b"anna") == Challenge(b"Password:")
    assert mechanism.step(b"secret") == CheckPassword("anna", "secret")


def test_login_takes_the_name_at_once() -> None:
    mechanism = LoginMechanism()
    assert mechanism.step(b"anna") == Challenge(b"Password:")
    assert mechanism.step(b"secret") == CheckPassword("anna", "secret")


@pytest.mark.parametrize("name", [b"", b"a\0b", b"\xff", b"a" * 321])
def test_login_refuses_names(name: bytes) -> None:
    assert isinstance(LoginMechanism().step(name), Failed)


@pytest.mark.parametrize("password", [b"", b"a\0b", b"\xff", b"a" * 1025])
def test_login_refuses_passwords(password: bytes) -> None:
    mechanism = LoginMechanism()
    mechanism.step(b"anna")
    assert isinstance(mechanism.step(password), Failed)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=6))
def test_any_octets_give_a_step(responses: list[bytes | None]) -> None:
    for make in (Plain, LoginMechanism):
        mechanism = make()
        for response in responses:
            assert isinstance(mechanism.step(response), Challenge | CheckPassword | Failed)
