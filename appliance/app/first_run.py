"""The first minutes: make the first person, and say what to type into a mail program.

The password is generated, shown once and only on a terminal; in a file or log it would stay. Where there is no terminal
nobody is added, since nobody would ever know the password: the guide says how to.
"""

import getpass
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from appliance.control.requests import AddAccount, Control, ListAccounts, ListDomains
from appliance.mail.protocols import PROTOCOLS
from appliance.network.sockets import Endpoint

FALLBACK_DOMAIN = "home.arpa"
"""The domain of homes without one (RFC 8375)."""


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """The account to speak of ("" for none yet), and the password if it was just made ("" otherwise)."""

    address: str
    password: str
    proposed: str = ""
    """The address to add by hand, where nobody was added."""


async def first_account(admin_api: Control, domain: str, out: TextIO) -> FirstAccount:
    """The first person of the server, made when there is nobody yet."""
    accounts = (await admin_api.ask(ListAccounts())).facts["accounts"]
    if accounts:
        return FirstAccount(accounts[0]["address"], "")
    domains = (await admin_api.ask(ListDomains())).facts["domains"]
    address = f"{_name()}@{domain or (domains[0]['name'] if domains else FALLBACK_DOMAIN)}"
    if not out.isatty():
        return FirstAccount("", "", address)
    facts = (await admin_api.ask(AddAccount(address))).facts
    return FirstAccount(facts["address"], facts["password"])


def _name() -> str:
    """The part before the @ that is proposed."""
    name = "".join(c for c in _user().lower() if c.isascii() and (c.isalnum() or c in "-_."))
    return "me" if name in ("", "root") else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def guide(told: FirstAccount, bound: Sequence[Endpoint], data: Path, out: TextIO) -> None:
    """What to type into a mail program, and a line that sends a first message."""
    ports: dict[str, Endpoint] = {}
    for endpoint in bound:
        ports.setdefault(endpoint.protocol, endpoint)
    say = out.write
    say(f"\nPillarbox is open. Its data is in the folder {data}\n\n")
    say(f"  address    {told.address}\n" if told.address else "  Nobody has an address yet. Add somebody on a terminal:\n")
    if not told.address:
        say(f"    {_command()} account add {told.proposed} --data {data}\n")
    elif told.password:
        say(f"  password   {told.password}    (shown this once; write it down)\n")
    else:
        say(f"  password   as set; a new one: {_command()} account password {told.address} --data {data}\n")
    say("\nIn a mail program (user name: the whole address):\n\n")
    for row in PROTOCOLS:
        if row.guide and row.name in ports:
            host, port = _host(ports[row.name].host), ports[row.name].port
            say(f"  {row.guide:<12}{host:<16} port {port:<6} security {'SSL/TLS' if row.implicit_tls else 'STARTTLS'}\n")
    say(f"\nThe certificate is the server's own; to trust it: {_command()} certificate export --data {data} --out pillarbox.pem\n")
    if "smtp" in ports and told.address:
        place = ports["smtp"]
        sender = "friend@elsewhere.example"
        say("\nSend a first message from another terminal:\n\n")
        message = f"From: {sender}\\nTo: {told.address}\\nSubject: Hello\\n\\nIt works.\\n"
        say(f"  printf '{message}' | curl --crlf smtp://{_host(place.host)}:{place.port} ")
        say(f"--mail-from {sender} --mail-rcpt {told.address} --upload-file -\n")
    say(f"\nHow the server is: {_command()} status --data {data}\nCtrl-C stops it.\n\n")
    out.flush()


def _command() -> str:
    """What to type for `pillarbox` in this folder: its name where it is on the path, else where it lies."""
    from shutil import which

    place = Path(sys.executable).with_name("pillarbox")
    if which("pillarbox") or not place.exists():
        return "pillarbox"
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def _host(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104 - shown only
