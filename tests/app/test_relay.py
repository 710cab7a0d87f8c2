"""app/relay: a [[relay]] section as a route rule, its password read from a file at each sign-in."""

from pathlib import Path

import pytest

from appliance.app.relay import relay_rule
from appliance.config.settings import RelaySettings
from appliance.mail.errors import SetupError


def test_a_relay_of_the_settings(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\nsecond\n")
    rule = relay_rule(
        RelaySettings(name="post", host="smtp.example", user="me", password_file=str(secret), domains=(".Example.org", "straße.example"))
    )
    assert rule.domains == (".example.org", "xn--strae-oqa.example") and rule.relay.port == 465 and rule.relay.secret
    assert rule.relay.secret.read() == "first"
    secret.write_text("changed\n")
    assert rule.relay.secret.read() == "changed", "read at each sign-in"
    secret.unlink()
    with pytest.raises(SetupError, match="cannot be read"):
        rule.relay.secret.read()
    ports = [relay_rule(RelaySettings(name="x", host="h", security=one)).relay.port for one in ("tls", "starttls", "none")]
    assert ports == [465, 587, 25] and relay_rule(RelaySettings(name="x", host="h")).relay.secret is None
