"""The server's settings: frozen, one dataclass a topic, each field with its unit, default and explanation.

The settings file, its errors, its commented example and the README's table all follow from these fields:
to add a setting, add a field. Nobody but `app` reads this file; each room gets what it needs handed over.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, make_dataclass
from typing import Any

from appliance.mail.protocols import PROTOCOLS, ProtocolRow


def setting(
    default: Any, text: str, *, least: float | None = None, most: float | None = None, words: tuple[str, ...] = (), secret: bool = False
) -> Any:
    """A field with what a person needs to know: `text`, the range of a number or the words allowed; a secret is never shown."""
    meta = {"text": text, "least": least, "most": most, "words": words}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: tuple(default), metadata=meta)
    return field(default=default, metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who the server is."""

    domain: str = setting(
        "",
        "The domain of the family's addresses, for example smith.example. Empty: taken from the first person's address. "
        "Set later, it is added to the domains there are, and no address changes: `pillarbox account rename` does that.",
    )
    host_name: str = setting("", "The name the box gives itself in conversations and certificates. Empty: mail.DOMAIN.")
    time_zone: str = setting("", "The time zone that times are shown in, for example Europe/Berlin. Empty: the box's own.")


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
        150, "Largest message taken in, in MB (1,000,000 octets) as it travels; attachments travel a third larger.", least=1, most=2000
    )
    recipients: int = setting(1000, "Most recipients of one message.", least=100, most=10_000)
    forged_own_sender: str = setting(
        "refuse", "A stranger who claims one of the family's own addresses as sender.", words=("refuse", "mark", "accept")
    )
    others_as_sender: str = setting("refuse", "One person who sends with another person's address.", words=("refuse", "accept"))


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The port for strangers."""

    sign_in_on_25: bool = setting(False, "Let the family's programs sign in on the strangers' port too.")
    greet_pause_s: int = setting(
        0, "Seconds before the greeting, so that senders who do not wait for it can be turned away; everybody else waits as long.",
        least=0, most=30,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Accounts and signing in."""

    quota_mb: int = setting(
        0, "Space for each person's mail in MB (1,000,000 octets); 0 for no limit but the card.", least=0, most=10_000_000
    )
    plaintext_login: bool = setting(False, "Let programs sign in without TLS. Passwords can then be read on the network.")
    scram_for: str = setting(
        "all",
        "For which passwords the SCRAM verifier is kept; it is the weaker one when the card is stolen.",
        words=("all", "app-passwords"),
    )
    messages_per_hour: int = setting(
        100, "Most messages one person sends to other servers in an hour, so that a stolen password sends no spam.", least=1, most=100_000
    )
    recipients_per_day: int = setting(500, "Most recipients in other servers one person writes to in a day.", least=1, most=1_000_000)


@dataclass(frozen=True, slots=True)
class SendingSettings:
    """How messages leave the server."""

    direct: str = setting(
        "first",
        "Whether messages go straight to the servers of other servers: first (and by the relay when that fails), only, or never.",
        words=("first", "only", "never"),
    )
    after_refusals: int = setting(
        2, "So often a message is turned away because of where it comes from, or finds nobody, before the relay gets it.", least=1, most=100
    )
    check_line: bool = setting(True, "Look whether the line lets messages out at all (port 25), when the server listens on port 25 itself.")
    name_servers: tuple[str, ...] = setting((), 'Name servers to ask, as addresses or "ADDRESS#PORT". Empty: the machine\'s own.')
    trusted_name_servers: bool = setting(
        False, "These name servers verify DNSSEC and nobody can come between: their word counts for DANE. On this machine it always does."
    )
    private_addresses: bool = setting(False, "Send to servers with private addresses too, as in a network of your own.")
    port: int = setting(25, "The port other servers are met at.", least=1, most=65_535)
    sessions: int = setting(20, "Connections to other servers at once.", least=1, most=500)
    sessions_per_domain: int = setting(4, "Of these to one domain or relay.", least=1, most=50)
    retry_first_s: int = setting(
        300, "Seconds until a message that could not leave is tried again; the wait doubles each time.", least=1, most=86_400
    )
    retry_most_s: int = setting(14_400, "Longest wait between two attempts, in seconds.", least=1, most=604_800)
    give_up_s: int = setting(432_000, "A message comes back after so many seconds of waiting (five days).", least=1, most=2_592_000)
    delay_notice_s: int = setting(14_400, "The sender is told once that a message is late after so many seconds.", least=1, most=2_592_000)
    history_days: int = setting(30, "Days that what became of messages is kept.", least=1, most=3650)
    history_lines: int = setting(20_000, "Lines of it at most.", least=1000, most=1_000_000)
    sign: bool = setting(True, "Sign messages for the server's domains (DKIM).")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """A server that takes the server's messages and sends them on; one [[relay]] for each."""

    name: str = setting("", "What the relay is called in lists and in `pillarbox queue reroute`: letters, digits and dashes.")
    host: str = setting("", "Its name or address.")
    port: int = setting(0, "Its port; 0 for the usual one: 465 with tls, 587 with starttls, 25 with none.", least=0, most=65_535)
    security: str = setting("tls", "TLS from the start, STARTTLS, or none.", words=("tls", "starttls", "none"))
    any_certificate: bool = setting(False, "Take whatever certificate it shows. Else the name must match and its authority be known.")
    user: str = setting("", "The name to sign in with. Empty: the relay knows the server by its address.")
    password: str = setting("", "The password.", secret=True)
    password_file: str = setting("", "A file whose first line is the password, read each time.")
    token_file: str = setting("", "A file whose first line is an access token (XOAUTH2), read each time.")
    domains: tuple[str, ...] = setting((), 'Only for messages to these domains; ".example.org" stands for all below it.')
    account: str = setting("", "Only for messages of this person of the server, by their address here.")
    address: str = setting("", "That person's address at the relay's provider: outside the server their messages come from it.")
    spf: str = setting("", 'What the provider asks to be put into the SPF record, such as "include:_spf.provider.example".')


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """LEDs, the button and the serial console; what is not named here costs nothing."""

    leds: tuple[str, ...] = setting(
        (),
        'LEDs: led:PIN, pwm:PIN, rgb:RED,GREEN,BLUE or board:NAME, then "inverted" if so, and server, trouble or mail for a part only. '
        "Empty: the board's own LEDs, when it has some.",
    )
    night: str = setting("", "When the LEDs are dim, such as 22:00-06:30.")
    night_percent: int = setting(25, "How bright they are then; LEDs that cannot be dimmed stay as they are.", least=0, most=100)
    button: str = setting("", "The button's pin, such as 3. Short: try the queue now. Three seconds: close the server. Empty: no button.")
    button_pull_up: bool = setting(True, "The button is between its pin and ground; false: between its pin and 3.3 V.")
    console: str = setting("", "The serial console's device, such as /dev/serial0, /dev/ttyGS0 or /dev/ttyUSB0. Empty: none.")
    console_baud: int = setting(115_200, "Its speed.", least=1200, most=4_000_000)
    console_password: bool = setting(True, "Whoever changes something on the serial console is asked for the admin password.")


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """Fetching programs."""

    mark_seen: bool = setting(True, "A message fetched over POP3 shows as read over IMAP.")


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """A certificate of your own; without one the server makes its own authority and certificate."""

    file: str = setting("", "PEM file with the certificate and its chain. Replaced files are taken up without a restart.")
    key: str = setting("", "PEM file with its private key.")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How much the server takes on at once."""

    connections: int = setting(1000, "Connections at once in all.", least=10, most=20_000)
    connections_per_address: int = setting(60, "Connections at once from one address; a family shares one.", least=40, most=10_000)
    drain_s: int = setting(10, "Seconds that sessions get to end when the server stops.", least=0, most=300)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; the defaults serve."""

    server: ServerSettings = field(default_factory=ServerSettings)
    listen: ListenSettings = field(default_factory=LISTEN_SECTION)
    messages: MessageSettings = field(default_factory=MessageSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    pop3: Pop3Settings = field(default_factory=Pop3Settings)
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
    out = ["# Pillarbox settings. Every line shows a default; take away the # of a line to change it.\n"]
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
