"""A running server without accounts: its setup code, where it is shown, and what it opens on the serial console.

| where                                  | who shows the code there                                          |
|----------------------------------------|-------------------------------------------------------------------|
| the terminal the server was started on | the server, when it is ready                                      |
| the serial console's first screen      | `ConsoleAdmin.notice`                                             |
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
    from appliance.accounts.admin_password import Admin

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


class ConsoleAdmin:
    """Who may change something at the serial console: the admin password, or the setup code as long as there is one."""

    def __init__(self, admin: "Admin", code: SetupCode) -> None:
        self._admin, self._code = admin, code

    async def known(self) -> bool:
        return bool(self._code.shown) or await self._admin.known()

    async def check(self, password: str) -> bool:
        if self._code.shown and (await self._code.verify(password)).accepted:
            return True
        return await self._admin.check(password)

    @property
    def changes(self) -> int:
        return self._admin.changes

    @property
    def prompt(self) -> str:
        return "Setup code:" if self._code.shown else self._admin.prompt

    @property
    def notice(self) -> str:
        if code := self._code.shown:
            return f"No account yet. Press 4, then a, and type this setup code: {code}"
        return self._admin.notice
