"""The settings file of the boot partition: the server's own settings, and the section [box] about the box itself.

It is checked like the server's file, by the same code, and any fault means that nothing of it is used. A password that was used
is replaced by USED in the file and kept on the data partition; USED there means "as before".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import Any

from appliance.accounts.passwords import check_strength
from appliance.config.settings import Settings, setting
from appliance.config.settings_file import Fault, SettingsError, check_tree, read_tree
from appliance.config.settings_lines import Path as KeyPath
from appliance.config.time_zone import ZONES, check_time_zone
from appliance.mail.address import parse_address
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.sentence import Sentence

SECTION = "box"
USED = "(used)"
"""In place of a password that was used and taken out of the file."""
NAME_OCTETS = 63
"""RFC 1035 §2.3.4."""
NETWORK_NAME_OCTETS = 32
"""IEEE 802.11 §9.4.2.2."""
PASSPHRASE_CHARACTERS = range(8, 64)
"""Of WPA, IEEE 802.11 §J.4.1; 64 hexadecimal digits are the key itself."""


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """The box itself: its name, network and first account."""

    name: str = setting("pillarbox", "The name of the box on your network: pillarbox.local.")
    account: str = setting("", "The first account, made at the first start. Empty: the setup code makes it.")
    password: str = setting("", "Its password; taken out of this file once it was used.", secret=True)
    wifi_name: str = setting("", "The Wi-Fi network to join. Empty: a network cable.")
    wifi_password: str = setting("", "Its password; taken out of this file once it was used. Empty: an open network.", secret=True)
    wifi_country: str = setting("", "The country the box is in, as in DE or FR: each has its own radio channels.")
    wifi_hidden: bool = setting(False, "The Wi-Fi network does not show its name.")
    address: str = setting("", "A fixed address with its network, such as 192.168.1.10/24. Empty: by DHCP.")
    gateway: str = setting("", "The router's address, with a fixed address.")
    name_servers: tuple[str, ...] = setting((), "Name servers, with a fixed address. Empty: the router.")
    shell: bool = setting(False, "A shell of root on a screen and keyboard at the box (Alt-F2).")
    erase_all_mail: bool = setting(False, "Makes the data partition anew at the next start: all mail is gone for good. Works once.")


@dataclass(frozen=True, slots=True)
class BootSettings:
    """What a file says: [box], the server's settings, and the parsed text as it is."""

    box: BoxSettings = field(default_factory=BoxSettings)
    server: Settings = field(default_factory=Settings)
    tree: dict[str, Any] = field(default_factory=dict, repr=False)


def parse(raw: bytes, name: str) -> BootSettings:
    """The settings of a file called `name`. Raises SettingsError with every fault in it."""
    tree, lines = read_tree(raw, name)
    faults: tuple[Fault, ...] = ()
    settings, beside = Settings(), dict[str, Any]()
    try:
        settings, beside = check_tree(tree, lines, name, {SECTION: BoxSettings})
    except SettingsError as error:
        faults = error.faults
    box = beside.get(SECTION) or BoxSettings()
    for key, problem, remedy in box_faults(box):
        faults += (
            Fault(
                lines.get((SECTION, key), lines.get((SECTION,), 0)),
                Sentence('"%(section)s.%(key)s" %(problem)s', section=SECTION, key=key, problem=problem),
                remedy,
            ),
        )
    faults += tuple(_secret_faults(raw.decode("utf-8-sig"), tree, lines))
    try:
        check_time_zone(settings.server.time_zone)
    except SetupError as error:
        faults += (Fault(lines.get(("server", "time_zone"), 0), error.problem, error.remedy),)
    if faults:
        raise SettingsError(name, tuple(sorted(faults, key=lambda fault: fault.line)))
    return BootSettings(box, settings, tree)


def box_faults(box: BoxSettings) -> Iterator[tuple[str, str, str]]:
    """(setting, what is wrong, remedy)."""
    if not is_host_name(box.name):
        yield "name", Sentence("is no name for a computer."), Sentence("Use a-z, 0-9 and hyphens, such as pillarbox.")
    if box.account and not _is_address(box.account):
        yield "account", Sentence('is "%(account)s", which is no address.', account=box.account), Sentence("Write it as NAME@DOMAIN.")
    if box.account and not box.password:
        yield "account", Sentence("has no password."), Sentence("Add a line: password = ..., or leave both out and use the setup code.")
    if box.account and box.password and box.password != USED:
        try:
            check_strength(box.password, box.account)
        except SetupError as error:
            yield "password", Sentence("cannot be used. %(problem)s", problem=error.problem), error.remedy
    yield from _wifi_faults(box)
    yield from _address_faults(box)


def _wifi_faults(box: BoxSettings) -> Iterator[tuple[str, str, str]]:
    if not box.wifi_name:
        if box.wifi_password and box.wifi_password != USED:
            yield "wifi_password", Sentence("is set without a network."), Sentence("Add a line: wifi_name = ...")
        return
    if len(box.wifi_name.encode()) > NETWORK_NAME_OCTETS:
        yield "wifi_name", Sentence("is longer than 32 octets."), Sentence("Write the network's name as the router shows it.")
    if not (len(box.wifi_country) == 2 and box.wifi_country.isascii() and box.wifi_country.isalpha()):
        yield "wifi_country", Sentence("is no country."), Sentence('Write two characters, such as "DE", "FR" or "US".')
    password = box.wifi_password
    if password in ("", USED) or is_key(password):
        return
    if len(password) not in PASSPHRASE_CHARACTERS or not password.isascii() or not password.isprintable():
        yield "wifi_password", Sentence("is no Wi-Fi password."), Sentence("It has 8 to 63 characters without accents.")


def _address_faults(box: BoxSettings) -> Iterator[tuple[str, str, str]]:
    if not box.address:
        for key in ("gateway", "name_servers"):
            if getattr(box, key):
                yield key, Sentence("is set without a fixed address."), Sentence("Add a line: address = ..., or take it out.")
        return
    try:
        given = ip_interface(box.address)
    except ValueError:
        given = None
    if given is None or "/" not in box.address:
        yield (
            "address",
            Sentence('is "%(address)s", which is no address with its network.', address=box.address),
            Sentence('Write it as "192.168.1.10/24".'),
        )
    for key, addresses in (("gateway", (box.gateway,) if box.gateway else ()), ("name_servers", box.name_servers)):
        if not all(map(_is_ip_address, addresses)):
            yield key, Sentence("is no address."), Sentence('Write it as "192.168.1.1".')
    if given is not None and _is_ip_address(box.gateway) and ip_address(box.gateway) not in given.network:
        yield (
            "gateway",
            Sentence("%(gateway)s is not in the network of %(address)s.", gateway=box.gateway, address=box.address),
            Sentence("Write the router's address."),
        )


def is_key(password: str) -> bool:
    """Is it the 256-bit key of a network in hexadecimal digits, instead of a password?"""
    return len(password) == 64 and all(character in "0123456789abcdefABCDEF" for character in password)


def is_host_name(name: str) -> bool:
    """One label of a host name (RFC 1123 §2.1)."""
    bare = name.replace("-", "")
    return bool(bare) and len(name) <= NAME_OCTETS and name.isascii() and bare.isalnum() and name.strip("-") == name


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        return bool(parse_address(text).domain)
    except MisuseError:
        return False


def is_time_zone(name: str) -> bool:
    """Whether this machine knows the zone."""
    try:
        check_time_zone(name, ZONES)
    except SetupError:
        return False
    return True


# --- passwords in the file -----------------------------------------------------------------------


def secrets_of(tree: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """(where it stands, value) of every password in the file that is to be taken out once it was used; USED ones too."""
    for key in ("password", "wifi_password"):
        value = tree.get(SECTION, {}).get(key)
        if isinstance(value, str) and value:
            yield (SECTION, key), value
    relays = tree.get("relay", ())
    for number, relay in enumerate(relays if isinstance(relays, list) else ()):
        value = relay.get("password") if isinstance(relay, dict) else None
        if isinstance(value, str) and value:
            yield ("relay", number, "password"), value


def _secret_faults(text: str, tree: dict[str, Any], lines: dict[KeyPath, int]) -> Iterator[Fault]:
    """Passwords that could not be taken out of the text later are refused now."""
    rows = text.splitlines()
    for where, value in secrets_of(tree):
        line = lines.get(where, 0)
        if value != USED and not (line and blanked_line(rows[line - 1], str(where[-1]))):
            yield Fault(
                line,
                Sentence('"%(where)s.%(where_2)s" does not stand on a line of its own.', where=where[0], where_2=where[-1]),
                'Write NAME = "VALUE" on one line.',
            )


def blanked_line(line: str, key: str) -> str:
    """The line `KEY = "VALUE"` with USED as its value; "" for any other line."""
    before, equals, after = line.partition("=")
    value = after.strip()
    if not equals or before.strip() != key or value[:1] not in ("'", '"') or value[:3] in ("'''", '"""'):
        return ""
    return f'{before}= "{USED}"'


def blanked(text: str, tree: dict[str, Any], lines: dict[KeyPath, int]) -> str:
    """The text of a file that `parse` accepted, with USED in place of its passwords; its line ends stay."""
    rows = text.splitlines(keepends=True)
    for where, value in secrets_of(tree):
        if value != USED:
            row = rows[lines[where] - 1]
            end = row[len(row.rstrip("\r\n")) :]
            rows[lines[where] - 1] = blanked_line(row.rstrip("\r\n"), str(where[-1])) + end
    return "".join(rows)
