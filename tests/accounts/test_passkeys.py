"""accounts/passkeys: made, used, copied, removed, and what becomes of them with their account and its password."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passkeys import PASSKEYS, Passkeys, checked
from appliance.accounts.passwords import Passwords
from appliance.database.database import Database
from appliance.mail.errors import MisuseError, SetupError
from appliance.protocol.webauthn import EDDSA, ES256, RS256, USER_PRESENT
from tests.support.accounts import Counted, Family, TrioClock, a_family
from tests.support.authenticator import HOST, VERIFIED, Authenticator, ceremony

ADA, MARY = "ada@home.example", "mary@home.example"


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with a_family(tmp_path) as family:
        yield family


async def an_account(accounts: Accounts, address: str, key: Authenticator, name: str = "phone") -> Passkeys:
    """With one passkey."""
    passkeys = Passkeys(accounts, TrioClock())
    account = accounts.directory.find_login(address) or await accounts.add_account(address, "x")
    key.handle, asked = passkeys.handle(account.id), ceremony()
    await passkeys.add(address, name, checked(key.make(asked), asked), password_of(accounts, address))
    return passkeys


def password_of(accounts: Accounts, address: str) -> int:
    """Its row's number."""
    account = accounts.directory.find_login(address)
    row = accounts.main_password(account.id) if account else None
    return row.id if row else 0


async def used(passkeys: Passkeys, key: Authenticator, host: str = HOST) -> str:
    """Nothing when it signs in, else why not."""
    passkey, asked = passkeys.find(key.credential), ceremony(host)
    return await passkeys.use(passkey, key.sign(asked), asked) if passkey is not None else "unknown"


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
async def test_one_of_each_algorithm_is_made_and_used(family: Family, algorithm: int) -> None:
    key = Authenticator(algorithm, sign_count=0)
    passkeys = await an_account(family.accounts, ADA, key)
    for _ in range(2):
        assert await used(passkeys, key) == ""
    (passkey,) = passkeys.of(family.accounts.directory.accounts()[0].id)
    assert (passkey.name, passkey.host, passkey.sign_count) == ("phone", HOST, 1) and passkey.used_at is not None
    again = Accounts(family.writer, family.accounts.passwords, family.clock)
    again.read(family.writer.read_now(lambda reads: reads))
    assert again.secrets.passkeys == {key.credential: passkey}
    assert str(key.public_key) not in repr(passkey) and str(key.credential) not in repr(family.accounts.secrets)


async def test_what_was_made_by_another_page_or_without_the_user_is_refused() -> None:
    key, asked = Authenticator(), ceremony()
    made = key.make(asked)
    wrong = (
        (made, ceremony()),
        (made, replace(asked, origin="https://mail.home.example:8443")),
        (made, replace(asked, host="box.local")),
        (Authenticator(flags=USER_PRESENT).make(asked), asked),
        (replace(made, algorithm=EDDSA), asked),
        (replace(made, public_key=made.public_key[:-1]), asked),
        (replace(made, authenticator_data=key.data(HOST, VERIFIED)), asked),
        (replace(made, client_data=key.sign(asked).client_data), asked),
    )
    for one, by in wrong:
        with pytest.raises(MisuseError):
            checked(one, by)


async def test_an_assertion_that_differs_in_any_part_is_refused(family: Family) -> None:
    key, other = Authenticator(), Authenticator()
    passkeys = await an_account(family.accounts, ADA, key)
    await an_account(family.accounts, MARY, other)
    passkey, asked = passkeys.find(key.credential), ceremony()
    assert passkey is not None
    shown = key.sign(asked)
    flipped = bytes([shown.signature[-1] ^ 1])
    wrong = (
        (shown, ceremony()),
        (shown, replace(asked, origin="https://evil.example")),
        (key.sign(ceremony("box.local")), asked),
        (replace(shown, signature=shown.signature[:-1] + flipped), asked),
        (replace(shown, signature=b""), asked),
        (replace(shown, client_data=shown.client_data + b" "), asked),
        (replace(shown, authenticator_data=shown.authenticator_data + b"\0"), asked),
        (replace(shown, handle=b""), asked),
        (replace(shown, handle=other.handle), asked),
        (other.sign(asked), asked),
        (key.sign(asked, origin="https://evil.example"), asked),
        (key.sign(asked, crossOrigin=True), asked),
    )
    for one, by in wrong:
        assert "opens nothing here" in await passkeys.use(passkey, one, by), one
    key.flags = USER_PRESENT
    assert "opens nothing here" in await passkeys.use(passkey, key.sign(asked), asked), "no PIN, finger or face"
    assert await passkeys.use(passkey, shown, asked) == ""
    assert "opens nothing here" in await used(passkeys, key, "box.local"), "it is bound to the name it was made for"


async def test_a_counter_that_does_not_rise_is_that_of_a_copy(family: Family) -> None:
    key = Authenticator(sign_count=5)
    passkeys = await an_account(family.accounts, ADA, key)
    assert await used(passkeys, key) != "", "5 was that of its making"
    assert await used(passkeys, key) == ""
    key.sign_count = 6
    assert "may have been copied" in await used(passkeys, key)
    key.sign_count = 0
    assert "may have been copied" in await used(passkeys, key)
    key.sign_count = 100
    assert await used(passkeys, key) == "", "the owner's own goes on"
    synced = Authenticator(sign_count=None)
    passkeys = await an_account(family.accounts, ADA, synced, "cloud")
    for _ in range(3):
        assert await used(passkeys, synced) == ""


async def test_of_two_uses_of_one_signature_the_second_is_refused(tmp_path: Path) -> None:
    async with await Database.open(tmp_path / "pillarbox.db") as database:
        key, asked, said = Authenticator(sign_count=1), ceremony(), []
        passkeys = await an_account(Accounts(database, Passwords(Counted()), TrioClock()), ADA, key)
        passkey = passkeys.find(key.credential)
        key.sign_count = 2
        shown = key.sign(asked)

        async def use() -> None:
            assert passkey is not None
            said.append(await passkeys.use(passkey, shown, asked))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(use)
        assert sorted(map(bool, said)) == [False, True, True]


async def test_names_numbers_and_owners_are_checked(family: Family) -> None:
    key = Authenticator()
    passkeys, asked = await an_account(family.accounts, ADA, key), ceremony()
    await family.accounts.add_account(MARY, "x")
    by = {address: password_of(family.accounts, address) for address in (ADA, MARY)}
    facts = checked(Authenticator().make(asked), asked)
    for name in ("", " ", "two\nlines", "x" * 61, "PHONE"):
        with pytest.raises(SetupError):
            await passkeys.add(ADA, name, facts, by[ADA])
    for address in (ADA, MARY):
        with pytest.raises(SetupError, match="is here already"):
            await passkeys.add(address, "again", checked(key.make(asked), asked), by[address])
    with pytest.raises(SetupError, match="no account"):
        await passkeys.add("nobody@home.example", "x", facts, by[ADA])
    for number in range(1, PASSKEYS):
        await passkeys.add(ADA, f"key {number}", checked(Authenticator().make(asked), asked), by[ADA])
    with pytest.raises(SetupError, match="no more are kept"):
        await passkeys.add(ADA, "one more", facts, by[ADA])
    for address, name in ((ADA, "none"), (MARY, "phone")):
        with pytest.raises(SetupError, match="no passkey called"):
            await passkeys.remove(address, name)
    await passkeys.remove(ADA, " Phone ")
    assert await used(passkeys, key) == "unknown" and len(passkeys.of(family.accounts.directory.accounts()[0].id)) == PASSKEYS - 1


async def test_a_session_ends_with_the_passkey_that_opened_it_and_not_with_the_password(family: Family) -> None:
    accounts, key = family.accounts, Authenticator()
    passkeys = await an_account(accounts, ADA, key)
    passkey, password = passkeys.find(key.credential), accounts.main_password(accounts.directory.accounts()[0].id)
    assert passkey is not None and password is not None and passkey.id != password.id
    await accounts.set_password(ADA, "another one")
    assert accounts.is_current(passkey.account, passkey.id) and not accounts.is_current(passkey.account, password.id)
    await passkeys.remove(ADA, "phone")
    assert not accounts.is_current(passkey.account, passkey.id)


async def test_a_reset_by_an_administrator_removes_them(family: Family) -> None:
    key, hers = Authenticator(), Authenticator()
    passkeys = await an_account(family.accounts, ADA, key)
    await an_account(family.accounts, MARY, hers)
    before, asked = password_of(family.accounts, ADA), ceremony()
    facts = checked(Authenticator().make(asked), asked)
    await passkeys.add(ADA, "by a passkey's session", facts, passkeys.of(family.accounts.directory.accounts()[0].id)[0].id)
    await family.accounts.set_password(ADA, "a new one", must_change=True)
    assert await used(passkeys, key) == "unknown" and await used(passkeys, hers) == ""
    for gone in (before, password_of(family.accounts, MARY)):
        with pytest.raises(SetupError, match="Sign in first"):
            await passkeys.add(ADA, "a moment too late", facts, gone)


async def test_a_disabled_or_removed_account_has_none_until_it_is_back(family: Family) -> None:
    await family.accounts.add_account(MARY, "x")
    key = Authenticator()
    passkeys, accounts = await an_account(family.accounts, ADA, key), family.accounts
    await family.add_second_admin()
    for away, back in (
        (lambda: accounts.set_disabled(ADA, True), lambda: accounts.set_disabled(ADA, False)),
        (lambda: accounts.retire_account(ADA), lambda: accounts.restore_account(ADA)),
    ):
        passkey = passkeys.find(key.credential)
        assert passkey is not None
        await away()
        assert await used(passkeys, key) == "unknown" and not accounts.is_current(passkey.account, passkey.id)
        await back()
        assert await used(passkeys, key) == ""
    await accounts.rename_account(ADA, "ada.smith@home.example")
    assert await used(passkeys, key) == "", "another address is the same account"
    await accounts.remove_account("ada.smith@home.example")
    assert family.writer.read_now(lambda reads: list(reads.execute("SELECT * FROM passkey"))) == []


async def test_while_the_clock_is_not_set_they_work_and_keep_their_last_use(family: Family) -> None:
    key = Authenticator(sign_count=None)
    await an_account(family.accounts, ADA, key)
    passkeys = Passkeys(family.accounts, family.clock)
    family.clock.is_trusted = False
    assert await used(passkeys, key) == ""
    passkey = passkeys.find(key.credential)
    assert passkey is not None and passkey.used_at is None
