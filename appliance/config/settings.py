"""The server's settings: frozen, one dataclass a topic, each field with its unit, default and explanation.

The settings file, its errors, its commented example and the README's table all follow from these fields: to add a setting, add
a field. Only `app` and `cli` read settings; every other package is passed what it needs.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, make_dataclass
from typing import Any

from appliance.mail.protocols import PROTOCOLS, ProtocolRow


def setting(
    default: Any,
    text: str,
    *,
    least: float | None = None,
    most: float | None = None,
    words: tuple[str, ...] = (),
    secret: bool = False,
    lines: bool = False,
) -> Any:
    """A field with its explanation `text`, the range of a number or the words allowed; a secret is never shown. `lines`: several values
    have commas of their own, so a form takes one a line."""
    meta = {"text": text, "least": least, "most": most, "words": words, "lines": lines}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: tuple(default), metadata=meta)
    return field(default=default, metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who the server is."""

    domain: str = setting(
        "",
        "The domain of the accounts' addresses, for example smith.example. Empty: taken from the first account. "
        "Set later, it becomes a further domain, and no address changes: `pillarbox account rename` does that.",
    )
    host_name: str = setting("", "The server's host name, in greetings, headers and certificates. Empty: mail.DOMAIN.")
    time_zone: str = setting("", "The time zone that times are shown in, for example Europe/Berlin. Empty: the machine's own.")


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the server listens: "HOST:PORT", several in a list, or "" for not at all."""

    def addresses(self, protocol: str) -> tuple[str, ...]:
        """The addresses of one protocol, each "HOST:PORT"."""
        found: tuple[str, ...] = getattr(self, protocol)
        return found


def listen_section(protocols: Sequence[ProtocolRow]) -> type[ListenSettings]:
    """The section [listen]: a field for each row of the table of protocols."""
    columns = [(row.name, tuple[str, ...], setting((f"127.0.0.1:{row.trial_port}",), row.text)) for row in protocols]
    made = make_dataclass("ListenSection", columns, bases=(ListenSettings,), frozen=True, slots=True)
    made.__doc__ = ListenSettings.__doc__
    return made


LISTEN_SECTION = listen_section(PROTOCOLS)


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """What a message may be."""

    largest_mb: int = setting(
        150,
        "Largest message accepted, in MB (1,000,000 octets) as it is transmitted; attachments grow by a third on the way.",
        least=1,
        most=2000,
    )
    recipients: int = setting(1000, "Most recipients of one message.", least=100, most=10_000)
    forged_own_sender: str = setting(
        "refuse",
        "A message from outside with one of your own addresses as sender: refuse it, mark it, or accept it.",
        words=("refuse", "mark", "accept"),
    )
    others_as_sender: str = setting("refuse", "A user who sends with the address of another account.", words=("refuse", "accept"))


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Mail from other servers (port 25)."""

    sign_in_on_25: bool = setting(False, "Allow sign-in on the smtp listener too.")
    greet_pause_s: int = setting(
        0, "Seconds before the greeting; clients that do not wait for it are refused, all others wait as long.",
        least=0, most=30,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Accounts and signing in."""

    quota_mb: int = setting(0, "Quota of each account in MB (1,000,000 octets); 0 for no limit.", least=0, most=10_000_000)
    plaintext_login: bool = setting(False, "Allow sign-in without TLS. Passwords can then be read on the network.")
    scram_for: str = setting(
        "all",
        "For which passwords a SCRAM verifier is stored; it is the weaker one when the storage is stolen.",
        words=("all", "app-passwords"),
    )
    messages_per_hour: int = setting(
        100,
        "Most messages an account sends to other servers in an hour, so that a stolen password sends little spam.",
        least=1,
        most=100_000,
    )
    recipients_per_day: int = setting(500, "Most recipients at other servers an account sends to in a day.", least=1, most=1_000_000)


@dataclass(frozen=True, slots=True)
class SendingSettings:
    """Outgoing mail."""

    direct: str = setting(
        "first",
        "Whether messages are sent directly to the recipients' servers: first (by the relay when that fails), only, or never.",
        words=("first", "only", "never"),
    )
    after_refusals: int = setting(
        2,
        "After so many attempts that were refused for the sending address, or reached no server, a message goes to the relay.",
        least=1,
        most=100,
    )
    check_port_25: bool = setting(True, "Check whether your provider blocks outgoing port 25, when the server listens on port 25 itself.")
    name_servers: tuple[str, ...] = setting((), 'DNS servers to query, as addresses or "ADDRESS#PORT". Empty: the machine\'s own.')
    trusted_name_servers: bool = setting(
        False, "These DNS servers validate DNSSEC over a safe network: their answers count for DANE. Those on this machine always do."
    )
    private_addresses: bool = setting(False, "Send to servers with private addresses too, as in a network of your own.")
    port: int = setting(25, "The port to connect to at other servers.", least=1, most=65_535)
    sessions: int = setting(20, "Connections to other servers at once.", least=1, most=500)
    sessions_per_domain: int = setting(4, "Most of them to one domain or relay.", least=1, most=50)
    retry_first_s: int = setting(300, "Seconds until a failed attempt is repeated; the wait doubles each time.", least=1, most=86_400)
    retry_most_s: int = setting(14_400, "Longest wait between two attempts, in seconds.", least=1, most=604_800)
    give_up_s: int = setting(
        432_000, "A message is returned to its sender after so many seconds in the queue (five days).", least=1, most=2_592_000
    )
    delay_notification_s: int = setting(14_400, "The sender is notified once of a delay after so many seconds.", least=1, most=2_592_000)
    history_days: int = setting(30, "Days that the history of messages is kept.", least=1, most=3650)
    history_entries: int = setting(20_000, "Most entries in it.", least=1000, most=1_000_000)
    sign: bool = setting(True, "Sign messages for the server's domains (DKIM).")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """A server that takes outgoing messages and sends them on (smarthost); one [[relay]] for each."""

    name: str = setting("", "What the relay is called in lists and in `pillarbox queue reroute`: a-z, 0-9 and hyphens.")
    host: str = setting("", "Its name or address.")
    port: int = setting(0, "Its port; 0 for the standard one: 465 with tls, 587 with starttls, 25 with none.", least=0, most=65_535)
    security: str = setting("tls", "TLS from the start, STARTTLS, or none.", words=("tls", "starttls", "none"))
    any_certificate: bool = setting(False, "Accept any certificate. Otherwise its name must match and its authority be known.")
    user: str = setting("", "The user name. Empty: no sign-in.")
    password: str = setting("", "The password.", secret=True)
    password_file: str = setting("", "A file whose first line is the password, read each time.")
    token_file: str = setting("", "A file whose first line is an access token (XOAUTH2), read each time.")
    domains: tuple[str, ...] = setting((), 'Only for messages to these domains; ".example.org" means all below it.')
    account: str = setting("", "Only for messages of this account, named by its address here.")
    address: str = setting("", "That account's address at the relay's provider: outside, its messages come from this address.")
    spf: str = setting("", 'What the provider wants in the SPF record, such as "include:_spf.provider.example".')


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """LEDs, the button and the serial console; what is not named here is not loaded."""

    leds: tuple[str, ...] = setting(
        (),
        'LEDs: led:PIN, pwm:PIN, rgb:RED,GREEN,BLUE or board:NAME, then "inverted" if lit when low, '
        "and server, trouble or mail to show only these. "
        "Empty: the board's own LEDs, if it has any.",
        lines=True,
    )
    night: str = setting("", "When the LEDs are dim, such as 22:00-06:30.")
    night_percent: int = setting(25, "Their brightness then, in percent; LEDs that cannot be dimmed stay as they are.", least=0, most=100)
    button: str = setting(
        "", "The button's pin, such as 3. A short press tries the queue now, three seconds shut the server down. Empty: no button."
    )
    button_pull_up: bool = setting(True, "The button connects its pin to ground; false: to 3.3 V.")
    console: tuple[str, ...] = setting(
        (), "The serial console's device, such as /dev/serial0, /dev/ttyGS0 or /dev/ttyUSB0; /dev/tty1 is a screen. Empty: none."
    )
    console_baud: int = setting(115_200, "Its speed in baud.", least=1200, most=4_000_000)
    console_password: bool = setting(True, "Ask for the password of an administrator before the serial console changes anything.")


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """POP3."""

    mark_seen: bool = setting(True, "A message fetched over POP3 shows as read over IMAP.")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The pages in the browser."""

    administrate_from_anywhere: bool = setting(
        False, "Setup and administration answer every address. Otherwise only private ones and those of the server's own network."
    )
    metrics_from_anywhere: bool = setting(False, "/health and /metrics answer every address, in the same way.")


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """A certificate of your own; without one the server makes its own authority and certificate."""

    file: str = setting("", "PEM file with the certificate and its chain. Replaced files are read without a restart.")
    key: str = setting("", "PEM file with its private key.")
    challenges: str = setting("", "Directory whose .well-known/acme-challenge an ACME client fills (certbot's --webroot-path).")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits of connections."""

    connections: int = setting(1000, "Connections at once in all.", least=10, most=20_000)
    connections_per_address: int = setting(60, "Connections at once from one address; a household shares one.", least=40, most=10_000)
    drain_s: int = setting(10, "Seconds that sessions have to end when the server stops.", least=0, most=300)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; the defaults serve."""

    server: ServerSettings = field(default_factory=ServerSettings)
    listen: ListenSettings = field(default_factory=LISTEN_SECTION)
    messages: MessageSettings = field(default_factory=MessageSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    pop3: Pop3Settings = field(default_factory=Pop3Settings)
    web: WebSettings = field(default_factory=WebSettings)
    certificate: CertificateSettings = field(default_factory=CertificateSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    sending: SendingSettings = field(default_factory=SendingSettings)
    panel: PanelSettings = field(default_factory=PanelSettings)
    relay: tuple[RelaySettings, ...] = ()


def host_and_port(text: str) -> tuple[str, int]:
    """(host, port) of a "HOST:PORT" that `settings_file.address_fault` accepts."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def arrays() -> tuple[tuple[str, Any], ...]:
    """(name, dataclass) of each array of tables, `[[name]]`."""
    return (("relay", RelaySettings),)


def sections() -> tuple[tuple[str, Any], ...]:
    """(name, dataclass) of each section of the file, in order."""
    return tuple((f.name, f.default_factory) for f in fields(Settings) if f.name not in dict(arrays()))


def explained(section: Any) -> tuple["Field[Any]", ...]:
    """The fields of one section, each with its metadata."""
    return fields(section)


def default_of(one: "Field[Any]") -> Any:
    return one.default_factory() if callable(one.default_factory) else one.default


def example() -> str:
    """The commented settings file: every setting with its default, commented out."""
    out = ["# Pillarbox settings. Every line shows a default; remove the # of a line to change it.\n"]
    for name, section in (*sections(), *arrays()):
        several = name in dict(arrays())
        start = "#   " if several else "# "
        out.append(f"\n# {(section.__doc__ or '').strip()}\n{f'# [[{name}]]' if several else f'[{name}]'}\n")
        for one in explained(section):
            value = default_of(one)
            shown = (
                str(value).lower() if isinstance(value, bool)
                else str(value) if isinstance(value, int)
                else "[" + ", ".join(f'"{v}"' for v in value) + "]" if isinstance(value, tuple)
                else f'"{value}"'
            )  # fmt: skip
            words = one.metadata["words"]
            text = one.metadata["text"] + (f" One of: {', '.join(words)}." if words else "")
            out.append(f"{start}{text}\n{start}{one.name} = {shown}\n")
    return "".join(out)
