"""The last use of a password: memory knows each, the database at most one an hour; gone passwords are forgotten."""

import pytest

from appliance.accounts.accounts import USED_EVERY_S
from appliance.app.admin_accounts import last_use
from appliance.mail.ids import AccountId
from appliance.status.text import stamp
from tests.support.accounts import Family

ANNA = "anna@home.example"


def written(family: Family) -> list[tuple[int | None, str, str]]:
    query = "SELECT used_at, used_from, used_protocol FROM password ORDER BY id"
    return family.writer.read_now(lambda reads: reads.execute(query).fetchall())


async def test_each_use_is_known_and_hourly_written(family: Family) -> None:
    await family.accounts.add_account(ANNA, "x")
    password = await family.accounts.add_app_password(ANNA, "phone")
    uses = (("192.0.2.1", "imaps", 0), ("192.0.2.2", "pop3s", 60), ("192.0.2.3", "submission", USED_EVERY_S + 1))
    for peer, protocol, later_s in uses:
        family.clock.wall_from_s += later_s
        assert await family.login.check("anna", password, peer=peer, protocol=protocol, mechanism="PLAIN")
        (row,) = family.accounts.app_passwords(ANNA)
        assert row.used_at is not None and 0 <= family.clock.wall_s() - row.used_at < 30
        assert (row.used_from, row.used_protocol) == (peer, protocol)
        noted = written(family)[1]
        assert noted[1:] == (("192.0.2.1", "imaps") if protocol == "pop3s" else (peer, protocol))
    await family.accounts.add_app_password(ANNA, "tablet")  # another commit's snapshot: what is newer in memory stays
    (row, other) = family.accounts.app_passwords(ANNA)
    assert (row.used_from, row.used_protocol) == ("192.0.2.3", "submission") and other.used_at is None


async def test_gone_passwords_are_forgotten_at_once(family: Family) -> None:
    await family.accounts.add_account(ANNA, "x")
    password = await family.accounts.add_app_password(ANNA, "phone")
    identity = await family.login.check("anna", password, peer="192.0.2.1", protocol="imap", mechanism="PLAIN")
    own = await family.login.check("anna", "x", peer="192.0.2.1", protocol="imap", mechanism="PLAIN")
    assert identity and own and len(family.accounts.remembered) == 2
    assert family.login.is_current(identity) and family.login.is_current(own)
    await family.accounts.remove_app_password(ANNA, "phone")
    assert len(family.accounts.remembered) == 1 and not family.login.is_current(identity) and family.login.is_current(own)
    await family.accounts.set_password(ANNA, "x")  # the same again is another password
    assert not len(family.accounts.remembered) and not family.login.is_current(own)
    again = await family.login.check("anna", "x", peer="192.0.2.1", protocol="imap", mechanism="PLAIN")
    assert again and family.login.is_current(again) and again.account == AccountId(1)
    await family.add_second_admin()
    await family.accounts.remove_account(ANNA)
    assert not len(family.accounts.remembered) and not family.login.is_current(again)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ((None, "", ""), "never used"),
        ((1_800_000_000, "192.0.2.1", "imaps"), f"last used {stamp(1_800_000_000)} from 192.0.2.1 by IMAP"),
        ((1_800_000_000, "", ""), f"last used {stamp(1_800_000_000)}"),
    ],
)
def test_in_words(facts: tuple[int | None, str, str], text: str) -> None:
    assert last_use(*facts) == text
