"""The admin password: set, checked, never stored in plain text; the one-time password is accepted once."""

import pytest

from appliance.accounts.admin_password import KEY, Admin
from appliance.mail.errors import SetupError
from tests.support.accounts import Counted, Family

PASSWORD = "a good long secret"


@pytest.fixture
def admin(family: Family) -> Admin:
    return Admin(family.writer, Counted())


async def test_set_and_checked(admin: Admin, family: Family) -> None:
    assert not await admin.known() and not await admin.check(PASSWORD) and not await admin.check("")
    await admin.set(PASSWORD)
    assert await admin.known() and await admin.check(PASSWORD) and not await admin.check(PASSWORD + "r")
    stored = await family.writer.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone())
    assert PASSWORD.encode() not in bytes(stored[0])


async def test_one_that_cannot_be_typed_changes_nothing(admin: Admin) -> None:
    await admin.set(PASSWORD)
    with pytest.raises(SetupError):
        await admin.set("a line\nend")
    assert await admin.check(PASSWORD)


async def test_the_one_time_password_is_accepted_once(admin: Admin) -> None:
    admin.make_one_time()
    first = admin.one_time
    assert first and await admin.known() and not await admin.check("guess")
    admin.make_one_time()
    assert not await admin.check(first), "the one before is void"
    assert await admin.check(admin.one_time)
    assert admin.one_time == "" and not await admin.check("") and not await admin.known()


async def test_a_password_that_is_set_ends_the_one_time_password(admin: Admin) -> None:
    admin.make_one_time()
    once = admin.one_time
    await admin.set(PASSWORD)
    assert admin.one_time == "" and not await admin.check(once)
