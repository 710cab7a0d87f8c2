"""config/settings_edit: a change keeps everything else of the file, and what would not be accepted is not made."""

import pytest

from appliance.config.settings import RelaySettings, explained
from appliance.config.settings_edit import editable, edited, is_editable, settings_in, typed_value, with_relay, without_relay
from appliance.config.settings_file import SettingsError
from appliance.mail.errors import SetupError

FILE = """# Our server.
[accounts]
quota_mb = 500   # enough for all

[sending]
# never from here
direct = "never"
"""


def test_comments_and_order_are_kept() -> None:
    text = edited(FILE, "accounts", {"quota_mb": 800, "scram_for": "app-passwords"})
    assert "# Our server." in text and "# enough for all" in text and text.index("[accounts]") < text.index("[sending]")
    assert settings_in(text).accounts.quota_mb == 800 and settings_in(text).sending.direct == "never"
    fresh = edited("", "messages", {"largest_mb": 20})
    assert settings_in(fresh).messages.largest_mb == 20
    names = edited(FILE, "sending", {"name_servers": ("192.0.2.53", "192.0.2.54#5353")})
    assert settings_in(names).sending.name_servers == ("192.0.2.53", "192.0.2.54#5353")


@pytest.mark.parametrize(
    ("section", "values"), [("accounts", {"quota_mb": -1}), ("sending", {"direct": "sometimes"}), ("sending", {"name_servers": ("x",)})]
)
def test_what_would_not_be_accepted_is_not_made(section: str, values: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        edited(FILE, section, values)


def test_relays_come_change_and_go() -> None:
    text = with_relay(FILE, {"name": "post", "host": "smtp.example", "user": "me", "password": "secret", "port": 465})
    (relay,) = settings_in(text).relay
    assert (relay.host, relay.password, relay.port) == ("smtp.example", "secret", 465)
    text = with_relay(text, {"name": "post", "host": "mail.example"})
    (relay,) = settings_in(text).relay
    assert (relay.host, relay.password) == ("mail.example", "secret"), "what is left out stays"
    text = with_relay(text, {"name": "other", "host": "other.example", "password_file": "/etc/shadow"})
    assert [one.name for one in settings_in(text).relay] == ["post", "other"] and "/etc/shadow" not in text
    text = without_relay(without_relay(text, "post"), "other")
    assert settings_in(text).relay == () and "# never from here" in text
    with pytest.raises(SetupError):
        without_relay(text, "post")
    with pytest.raises(SettingsError):
        with_relay(FILE, {"name": "Not A Name", "host": "x.example"})


def test_files_devices_and_listeners_are_for_the_file_only() -> None:
    names = {(name, one.name) for name, _cls, fields in editable() for one in fields}
    assert not {name for name, _ in names} & {"listen", "certificate"} and ("accounts", "quota_mb") in names
    assert ("panel", "night") in names and ("panel", "console") not in names
    assert not is_editable("relay", "password_file") and is_editable("relay", "password")


def test_values_as_they_are_typed() -> None:
    fields = {one.name: one for _name, _cls, some in editable() for one in some}
    assert typed_value(fields["quota_mb"], "1,000") == 1000 and typed_value(fields["plaintext_login"], "on") is True
    assert typed_value(fields["name_servers"], "a, b\n c,") == ("a", "b", "c") and typed_value(fields["direct"], "only") == "only"
    assert typed_value(fields["plaintext_login"], "false") is False
    with pytest.raises(SetupError):
        typed_value(fields["quota_mb"], "many")
    assert all(not one.repr for one in explained(RelaySettings) if one.name == "password")


def test_values_with_commas_of_their_own_are_one_a_line() -> None:
    fields = {one.name: one for name, _cls, some in editable() for one in some if name == "panel"}
    leds = typed_value(fields["leds"], "rgb:17,27,22 inverted\r\n led:5 server,mail\n")
    assert leds == ("rgb:17,27,22 inverted", "led:5 server,mail")
    assert settings_in(edited(FILE, "panel", {"leds": leds})).panel.leds == leds
