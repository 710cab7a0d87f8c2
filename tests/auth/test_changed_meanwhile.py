"""A password that is changed while it is being checked is refused, on every server."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.accounts.passwords import PasswordRow
from tests.support.services import ACCOUNTS, PASSWORD, some_components

from .test_scram_on_the_wire import Wire

PLAIN = b64encode(f"\0{ACCOUNTS[0]}\0{PASSWORD}".encode())
SERVERS = {
    "imap": (b"a AUTHENTICATE PLAIN " + PLAIN, b"a NO [AUTHENTICATIONFAILED]", b"a OK"),
    "pop3": (b"AUTH PLAIN " + PLAIN, b"-ERR [AUTH]", b"+OK"),
    "submission": (b"AUTH PLAIN " + PLAIN, b"535 5.7.8", b"235"),
}


@pytest.mark.parametrize("protocol", SERVERS)
async def test_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    command, refused, fine = SERVERS[protocol]
    async with some_components(tmp_path) as components:
        accounts = components.family.accounts
        find = accounts.passwords.find

        async def find_slowly(rows: Sequence[PasswordRow], password: str, salt: bytes) -> PasswordRow | None:
            found = await find(rows, password, salt)
            await accounts.set_password(ACCOUNTS[0], "Another-8")
            await accounts.set_password(ACCOUNTS[0], PASSWORD)  # the same text again, and yet another password
            return found

        with monkeypatch.context() as patch:
            patch.setattr(accounts.passwords, "find", find_slowly)
            wire = await Wire(components.connect(protocol)).greeted(protocol)
            await wire.send(command + b"\r\n")
            assert (await wire.line()).startswith(refused)
        assert components.streams[0].who == "" and components.streams[0].login is None
        await wire.send(command + b"\r\n")
        assert (await wire.line()).startswith(fine)
        assert components.streams[0].login == (components.account(), accounts.secrets.rows[components.account()][0].id)
