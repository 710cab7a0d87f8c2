"""Faults of the [[relay]] tables beyond the form of each value: one row a rule, all reported together."""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address

from appliance.mail.address import parse_address, parse_domain
from appliance.mail.errors import MisuseError
from appliance.mail.sentence import Sentence

from .settings import RelaySettings

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def _name(relay: RelaySettings) -> bool:
    return not relay.name or not NAME_CHARACTERS.issuperset(relay.name) or len(relay.name) > 40


def _host(relay: RelaySettings) -> bool:
    return not relay.host or not _is_host(relay.host)


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        try:
            parse_domain(text)
        except MisuseError:
            return False
        return not text.startswith("[")
    return True


def _secrets(relay: RelaySettings) -> int:
    return sum(map(bool, (relay.password, relay.password_file, relay.token_file)))


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except MisuseError:
        return False
    return True


def _is_domain(text: str) -> bool:
    try:
        parse_domain(text.removeprefix("."))
    except MisuseError:
        return False
    return True


Rule = tuple[str, Callable[[RelaySettings], bool], str, str]
RULES: tuple[Rule, ...] = (
    ("name", _name, Sentence("must be a short name."), Sentence('Use a-z, 0-9 and hyphens, such as "provider".')),
    (
        "host",
        _host,
        Sentence("must be the relay's host name or address."),
        Sentence('Write a name like "smtp.provider.example" or an address.'),
    ),
    (
        "user",
        lambda r: bool(r.user) and not _secrets(r),
        Sentence("is set, but no password."),
        Sentence("Set password, password_file or token_file."),
    ),
    ("user", lambda r: not r.user and bool(_secrets(r)), Sentence("is missing."), Sentence("A password needs the name it belongs to.")),
    (
        "password",
        lambda r: _secrets(r) > 1,
        Sentence("is given more than once."),
        Sentence("Keep one of password, password_file and token_file."),
    ),
    (
        "security",
        lambda r: r.security == "none" and bool(r.user),
        Sentence("is none: the password could be read on the network."),
        Sentence("Use tls or starttls."),
    ),
    (
        "account",
        lambda r: bool(r.account) and not _is_address(r.account),
        Sentence("is not an address."),
        Sentence('Write it like "anna@example.org".'),
    ),
    (
        "address",
        lambda r: bool(r.address) and not _is_address(r.address),
        Sentence("is not an address."),
        Sentence('Write it like "anna@provider.example".'),
    ),
    (
        "address",
        lambda r: bool(r.address) and not r.account,
        Sentence("belongs to no account."),
        Sentence('Name the account here: account = "anna@example.org".'),
    ),
    (
        "domains",
        lambda r: not all(map(_is_domain, r.domains)),
        Sentence("has an entry that is not a domain."),
        Sentence('Write "example.org" or ".example.org".'),
    ),
)


def relay_faults(relays: Sequence[RelaySettings]) -> Iterator[tuple[int, str, str, str]]:
    """(which relay, its setting, what is wrong, the remedy)."""
    met: set[str] = set()
    for number, relay in enumerate(relays):
        for key, wrong, problem, remedy in RULES:
            if wrong(relay):
                yield number, key, problem, remedy
        if relay.name and relay.name in met:
            yield number, "name", Sentence('"%(name)s" names two relays.', name=relay.name), Sentence("Give each its own.")
        met.add(relay.name)
