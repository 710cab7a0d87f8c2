"""app/admin_request: what the handlers share."""

import pytest

from appliance.accounts.passwords import check_strength
from appliance.app.admin_request import given_or_generated, shown_once
from appliance.mail.errors import SetupError


def test_a_password_that_is_given_is_never_shown_and_a_generated_one_once() -> None:
    assert given_or_generated("correct horse battery") == ("correct horse battery", {})
    made, facts = given_or_generated("")
    assert facts == {"password": made} and made in shown_once(facts) and "shown this once" in shown_once(facts)
    check_strength(made, "")
    assert given_or_generated("")[0] != made and shown_once({}) == ""


@pytest.mark.parametrize(("password", "name"), [("1234", ""), ("password", ""), ("ada@home.example", "ada@home.example"), ("a", "")])
def test_weak_ones_are_refused_before_anything_changes(password: str, name: str) -> None:
    with pytest.raises(SetupError):
        given_or_generated(password, name)
