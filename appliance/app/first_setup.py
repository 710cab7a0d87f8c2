"""A running server without accounts: its setup code, and where it is shown.

| where                                  | who shows the code there                                          |
|----------------------------------------|-------------------------------------------------------------------|
| the terminal the server was started on | the server, when it is ready                                      |
| the serial console's first screen      | `console_access.ConsoleAccess.notice`                             |
| `pillarbox setup-code`                 | the admin API, to the server's user and root only                 |
| the card's boot partition              | a unit of root, which finds it in a file (`runtime_files`)        |

The journal never has it: a log may be kept for years. A server with accounts loads nothing of this.
The code shown before a restart comes back as the systemd credential `setup-code`, where the image keeps one.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from appliance.accounts.setup_code import SetupCode
from appliance.mail.errors import StoreError

from .components import limited

if TYPE_CHECKING:
    from .components import Components

CREDENTIAL = "setup-code"
LARGEST_OCTETS = 200


async def prepare_setup_code(components: "Components") -> None:
    """Make the code of a server without accounts; on storage that cannot be written there is none, and a log line says so."""
    code = SetupCode(components.database, limited(1), components.clock, lambda: bool(_accounts_of(components)))
    try:
        await code.prepare(given_code(os.environ.get("CREDENTIALS_DIRECTORY", "")))
    except StoreError as trouble:
        components.journal.log(f"There is no setup code, since it cannot be stored: {trouble}")
        return
    components.setup_code = code


def given_code(credentials: str) -> str:
    """The code that was shown before, from the directory of systemd's credentials (systemd.exec(5)); "" for none."""
    try:
        with (Path(credentials) / CREDENTIAL).open("rb") as file:
            return file.read(LARGEST_OCTETS).decode("ascii", "replace").strip() if credentials else ""
    except OSError:
        return ""


def print_setup_code(components: "Components", out: TextIO) -> None:
    """Print the code on the terminal that the server was started on; elsewhere the journal says how to see it."""
    code = components.setup_code.shown if components.setup_code else ""
    if not code:
        return
    if out.isatty():
        out.write(f"Setup code: {code}   (it makes the first account, in a browser or on the serial console)\n")
        out.flush()
    else:
        components.journal.log("There is no account yet. To see the setup code, which makes the first one: pillarbox setup-code")


def _accounts_of(components: "Components") -> tuple[object, ...]:
    directory = components.accounts.directory
    return (*directory.accounts(), *directory.removed())
