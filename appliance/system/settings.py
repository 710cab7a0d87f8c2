"""The house's settings: frozen, one dataclass a topic, each field with its unit, default and explanation.

The settings file, its errors, its commented example and the README's table all follow from these fields:
to add a setting, add a field. Nobody but `app` reads this file; each room gets what it needs handed over.
"""

from dataclasses import Field, dataclass, field, fields
from typing import Any

PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
"""The names a listener can have, in the order they are started and shown."""


def setting(default: Any, text: str, *, least: float | None = None, most: float | None = None, words: tuple[str, ...] = ()) -> Any:
    """A field with what a person needs to know: `text`, the range of a number or the words allowed."""
    meta = {"text": text, "least": least, "most": most, "words": words}
    if isinstance(default, list | tuple):
        return field(default_factory=lambda: tuple(default), metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """Who the house is."""

    domain: str = setting(
        "", "The domain of the family's addresses, for example smith.example. Empty: taken from the first person's address."
    )
    host_name: str = setting("", "The name the box gives itself in conversations and certificates. Empty: mail.DOMAIN.")


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the house answers: "HOST:PORT", several in a list, or "" for not at all."""

    smtp: tuple[str, ...] = setting(("127.0.0.1:2525",), "Mail from strangers (the world expects port 25).")
    submission: tuple[str, ...] = setting(("127.0.0.1:2587",), "Mail programs hand in letters, STARTTLS (usual port 587).")
    submissions: tuple[str, ...] = setting(("127.0.0.1:2465",), "Mail programs hand in letters, TLS from the start (usual port 465).")
    imap: tuple[str, ...] = setting(("127.0.0.1:2143",), "Mail programs read, STARTTLS (usual port 143).")
    imaps: tuple[str, ...] = setting(("127.0.0.1:2993",), "Mail programs read, TLS from the start (usual port 993).")
    pop3: tuple[str, ...] = setting(("127.0.0.1:2110",), "Mail programs fetch, STARTTLS (usual port 110).")
    pop3s: tuple[str, ...] = setting(("127.0.0.1:2995",), "Mail programs fetch, TLS from the start (usual port 995).")


@dataclass(frozen=True, slots=True)
class LetterSettings:
    """What a letter may be."""

    largest_mb: int = setting(
        150, "Largest letter taken in, in MB (1,000,000 octets) as it travels; attachments travel a third larger.", least=1, most=2000
    )
    recipients: int = setting(1000, "Most recipients of one letter.", least=100, most=10_000)
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
class PeopleSettings:
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
    letters_per_hour: int = setting(
        100, "Most letters one person sends to other houses in an hour, so that a stolen password sends no spam.", least=1, most=100_000
    )
    recipients_per_day: int = setting(500, "Most recipients in other houses one person writes to in a day.", least=1, most=1_000_000)


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """Fetching programs."""

    mark_seen: bool = setting(True, "A letter fetched over POP3 shows as read over IMAP.")


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """A certificate of your own; without one the house makes its own authority and certificate."""

    file: str = setting("", "PEM file with the certificate and its chain. Replaced files are taken up without a restart.")
    key: str = setting("", "PEM file with its private key.")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How much the house takes on at once."""

    connections: int = setting(1000, "Connections at once in all.", least=10, most=20_000)
    connections_per_address: int = setting(60, "Connections at once from one address; a family shares one.", least=40, most=10_000)
    drain_s: int = setting(10, "Seconds that sessions get to end when the house stops.", least=0, most=300)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; the defaults serve."""

    house: HouseSettings = field(default_factory=HouseSettings)
    listen: ListenSettings = field(default_factory=ListenSettings)
    letters: LetterSettings = field(default_factory=LetterSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    pop3: Pop3Settings = field(default_factory=Pop3Settings)
    certificate: CertificateSettings = field(default_factory=CertificateSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)


def sections() -> tuple[tuple[str, Any], ...]:
    """(name, dataclass) of each section of the file, in order."""
    return tuple((f.name, f.default_factory) for f in fields(Settings))


def explained(section: Any) -> tuple["Field[Any]", ...]:
    """The fields of one section, each with its metadata."""
    return fields(section)


def default_of(one: "Field[Any]") -> Any:
    return one.default_factory() if callable(one.default_factory) else one.default


def example() -> str:
    """The commented settings file: every setting with its default, commented out."""
    out = ["# Pillarbox settings. Every line shows a default; take away the # of a line to change it.\n"]
    for name, section in sections():
        out.append(f"\n# {(section.__doc__ or '').strip()}\n[{name}]\n")
        for one in explained(section):
            value = default_of(one)
            shown = (
                str(value).lower() if isinstance(value, bool)
                else str(value) if isinstance(value, int)
                else "[" + ", ".join(f'"{v}"' for v in value) + "]" if isinstance(value, tuple)
                else f'"{value}"'
            )  # fmt: skip
            words = one.metadata["words"]
            out.append(f"# {one.metadata['text']}{' One of: ' + ', '.join(words) + '.' if words else ''}\n# {one.name} = {shown}\n")
    return "".join(out)
