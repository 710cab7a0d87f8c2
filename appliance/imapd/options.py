"""IMAP's part of the settings, as every session reads it."""

from dataclasses import dataclass

from appliance.mail.limits import IMAP_BEFORE_LOGIN_S, IMAP_ERRORS, IMAP_IDLE_S, MESSAGE_OCTETS


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """`host`: the name in the greeting; `errors`: BAD responses in a row that end a session; times in seconds.

    `idle_s` is the autologout timer of RFC 9051 §5.4, `before_login_s` the time from greeting to sign-in, all in all.
    """

    host: str = "localhost"
    message_octets: int = MESSAGE_OCTETS
    idle_s: float = IMAP_IDLE_S
    before_login_s: float = IMAP_BEFORE_LOGIN_S
    errors: int = IMAP_ERRORS
    login_failures: int = 10
    jmap_url: str = ""
    """Of JMAP's session object; "" where the server answers no https."""
