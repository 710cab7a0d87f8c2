"""SAVEDATE: saved now, whatever the internal date; not known while the clock is not set."""

from pathlib import Path

from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import Components, some_components

DAY_S = 86_400
SECOND_OF_MARCH_S = 1_772_409_600


def set_clock(components: Components, at_s: float) -> None:
    clock = components.family.clock
    clock.wall_from_s += at_s - clock.wall_s()


async def test_copy_and_move_save_anew_and_leave_the_source_alone(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        set_clock(components, SECOND_OF_MARCH_S + 60)
        await components.deliver(b"Subject: a\r\n\r\n", at=SECOND_OF_MARCH_S - 30 * DAY_S)
        set_clock(components, SECOND_OF_MARCH_S + DAY_S + 60)
        client = await signed_in(components, b"INBOX")
        await ok(client, b"COPY 1 INBOX")
        await ok(client, b"NOOP")
        assert await ok(client, b"SEARCH SAVEDON 2-Mar-2026") == [b"* SEARCH 1"]
        assert await ok(client, b"SEARCH SAVEDON 3-Mar-2026") == [b"* SEARCH 2"]
        assert await ok(client, b"SEARCH SAVEDBEFORE 3-Mar-2026") == [b"* SEARCH 1"]
        assert await ok(client, b"SEARCH SAVEDSINCE 3-Mar-2026 BEFORE 1-Mar-2026") == [b"* SEARCH 2"]
        set_clock(components, SECOND_OF_MARCH_S + 2 * DAY_S + 60)
        await ok(client, b"MOVE 1 Archive")
        await ok(client, b"SELECT Archive")
        assert await ok(client, b"SEARCH SAVEDON 4-Mar-2026") == [b"* SEARCH 1"]


async def test_a_clock_that_is_not_set_saves_no_date(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        components.family.clock.is_trusted = False
        await components.deliver(b"Subject: a\r\n\r\n", at=SECOND_OF_MARCH_S)
        client = await signed_in(components, b"INBOX")
        await ok(client, b"COPY 1 INBOX")
        await ok(client, b"NOOP")
        assert await ok(client, b"FETCH 1:2 SAVEDATE") == [b"* 1 FETCH (SAVEDATE NIL)", b"* 2 FETCH (SAVEDATE NIL)"]
        assert await ok(client, b"SEARCH SAVEDON 2-Mar-2026") == [b"* SEARCH 1 2"], "the internal date (RFC 8514 §4.3)"


async def test_a_delivery_at_once_costs_no_octet(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        set_clock(components, SECOND_OF_MARCH_S)
        await components.deliver(b"Subject: a\r\n\r\n", at=int(components.family.clock.wall_s()))
        found = await components.store.database.read(lambda connection: connection.execute("SELECT saved_after_s FROM message").fetchall())
        assert found[0][0] in (0, 1)
