"""First run (`pillarbox run`): adds the first account and prints what to enter in a mail program.

The password is generated and shown once, only on a terminal; in a file or log it would stay. Without a terminal no account is
added, since its password could not be shown: the guide says how to add one.
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
"""The domain of a home without one (RFC 8375)."""


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """The first account ("" for none yet), and its password if it was just generated ("" otherwise)."""

    address: str
    password: str
    proposed: str = ""
    """The address to add by hand, where no account was added."""


async def first_account(admin_api: Control, domain: str, out: TextIO) -> FirstAccount:
    """The first account of the server, added when there is none yet."""
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
    """The proposed local part."""
    name = "".join(c for c in _user().lower() if c.isascii() and (c.isalnum() or c in "-_."))
    return "me" if name in ("", "root") else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def guide(first: FirstAccount, bound: Sequence[Endpoint], data: Path, out: TextIO) -> None:
    """Print what to enter in a mail program, and a command that sends a first message."""
    ports: dict[str, Endpoint] = {}
    for endpoint in bound:
        ports.setdefault(endpoint.protocol, endpoint)
    write = out.write
    write(f"\nPillarbox is running. Its data is in the directory {data}\n\n")
    write(f"  address    {first.address}\n" if first.address else "  There is no account yet. Add one on a terminal:\n")
    if not first.address:
        write(f"    {_command()} account add {first.proposed} --data {data}\n")
    elif first.password:
        write(f"  password   {first.password}    (shown this once; write it down)\n")
    else:
        write(f"  password   as set; a new one: {_command()} account password {first.address} --data {data}\n")
    write("\nIn a mail program (user name: the whole address):\n\n")
    for row in PROTOCOLS:
        if row.guide and row.name in ports:
            host, port = _host(ports[row.name].host), ports[row.name].port
            write(f"  {row.guide:<12}{host:<16} port {port:<6} security {'SSL/TLS' if row.implicit_tls else 'STARTTLS'}\n")
    if "https" in ports:
        web = f"{_host(ports['https'].host)}:{ports['https'].port}"
        write(f"\nIn a browser: https://{web}/   (it warns until the certificate is trusted)\n")
    write(f"\nThe server made its own certificate; to trust it: {_command()} certificate export --data {data} --out pillarbox.pem\n")
    if "smtp" in ports and first.address:
        place = ports["smtp"]
        sender = "friend@elsewhere.example"
        write("\nSend a first message from another terminal:\n\n")
        message = f"From: {sender}\\nTo: {first.address}\\nSubject: Hello\\n\\nIt works.\\n"
        write(f"  printf '{message}' | curl --crlf smtp://{_host(place.host)}:{place.port} ")
        write(f"--mail-from {sender} --mail-rcpt {first.address} --upload-file -\n")
    write(f"\nThe state of the server: {_command()} status --data {data}\nCtrl-C stops it.\n\n")
    out.flush()


def _command() -> str:
    """How to call `pillarbox` from this directory: by name where it is on the path, else by its path."""
    from shutil import which

    place = Path(sys.executable).with_name("pillarbox")
    if which("pillarbox") or not place.exists():
        return "pillarbox"
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def _host(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104 - shown only
