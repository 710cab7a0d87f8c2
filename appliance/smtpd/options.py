"""The settings of SMTP, as its sessions use them."""

from dataclasses import dataclass

from appliance.mail.limits import MESSAGE_OCTETS, RECIPIENTS, SMTP_COMMAND_S, SMTP_ERRORS, SMTP_MESSAGE_S


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """`host_name` is the name in greetings and Received.

    `forged_own_sender` is "refuse", "mark" or "accept": what happens when a client that did not authenticate uses one of our
    addresses as the sender ("refuse" concerns the envelope; a From field alone is marked, since mailing lists send people's own
    messages back to them). `others_as_sender` is "refuse" or "accept". `greet_pause_s`: how long port 25 waits for clients that
    send before the greeting; 0 for not at all, since every other client would wait as long.
    """

    host_name: str = "localhost"
    message_octets: int = MESSAGE_OCTETS
    recipients: int = RECIPIENTS
    forged_own_sender: str = "refuse"
    others_as_sender: str = "refuse"
    sign_in_on_25: bool = False
    greet_pause_s: float = 0.0
    command_s: float = SMTP_COMMAND_S
    message_s: float = SMTP_MESSAGE_S
    errors: int = SMTP_ERRORS
