"""accounts/web_sessions: a bounded number for each account, kept over a restart, written once a day at most."""

from appliance.accounts.web_sessions import NOTED_S, PER_ACCOUNT, WebSessions
from tests.support.accounts import Family


async def begin(family: Family, sessions: WebSessions, name: str = "ada") -> str:
    account = family.accounts.directory.find_login(f"{name}@home.example")
    assert account is not None
    row = family.accounts.secrets.rows[account.id][0]
    return await sessions.begin(account.id, row.id, peer="192.0.2.1", agent="Browser\n1")


async def test_a_session_outlives_a_restart_and_the_oldest_makes_room(family: Family) -> None:
    await family.accounts.add_account("ada@home.example", "Correct-Horse-7")
    await family.accounts.add_account("mary@home.example", "Correct-Horse-7")
    sessions = WebSessions(family.writer, family.clock, family.accounts.is_current)
    others = await begin(family, sessions, "mary")
    secrets = []
    for _ in range(PER_ACCOUNT + 2):
        family.clock.wall_from_s += 10
        secrets.append(await begin(family, sessions))
    assert [sessions.find(secret) is not None for secret in secrets] == [False] * 2 + [True] * PER_ACCOUNT
    assert sessions.find(others) and not sessions.find("") and not sessions.find("x")
    again = WebSessions(family.writer, family.clock, family.accounts.is_current)
    await again.open()
    found = again.find(secrets[-1])
    assert found is not None and found.agent == "Browser 1" and not again.is_confirmed(found)
    assert len(again.of(found.account)) == PER_ACCOUNT
    await again.end(found)
    assert not again.find(secrets[-1]) and not again.is_live(found)


async def test_looking_writes_nothing_within_a_day(family: Family) -> None:
    await family.accounts.add_account("ada@home.example", "Correct-Horse-7")
    sessions = WebSessions(family.writer, family.clock, family.accounts.is_current)
    secret = await begin(family, sessions)
    written: list[object] = []
    family.writer.write_lazily = written.append  # type: ignore[method-assign, assignment]
    for _ in range(10):
        family.clock.wall_from_s += NOTED_S / 20
        assert sessions.find(secret)
    assert not written
    family.clock.wall_from_s += NOTED_S
    assert sessions.find(secret) and sessions.find(secret)
    assert len(written) == 1


async def test_a_session_goes_on_with_the_password_it_changed(family: Family) -> None:
    await family.accounts.add_account("ada@home.example", "Correct-Horse-7")
    sessions = WebSessions(family.writer, family.clock, family.accounts.is_current)
    mine, other = await begin(family, sessions), await begin(family, sessions)
    session = sessions.find(mine)
    assert session is not None
    await family.accounts.set_password("ada@home.example", "Another-Horse-8")
    await sessions.move(session, family.accounts.secrets.rows[session.account][0].id)
    assert sessions.find(mine) and not sessions.find(other)
    session.note("Done.")
    assert session.notes == ["Done."] and len(session.key) == 16
