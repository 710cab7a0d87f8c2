"""What relays announced of the size of messages outlives the process and is written only when it changes."""

from pathlib import Path

from appliance.outbound.relay_sizes import RelaySizes
from tests.support.accounts import a_family


async def test_the_last_announcement_is_kept(tmp_path: Path) -> None:
    with a_family(tmp_path) as family:
        sizes = RelaySizes(family.writer)
        assert await sizes.of("provider") == 0
        sizes.note("provider", 20_000_000)
        sizes.note("other", 0)
        assert await RelaySizes(family.writer).of("provider") == 20_000_000
        later = RelaySizes(family.writer)
        later.note("provider", 0)
        assert await RelaySizes(family.writer).of("provider") == 0 == await later.of("other")
