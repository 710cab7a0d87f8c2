"""app/runtime_files: what the server asks and tells small units of root."""

from pathlib import Path

import trio

from appliance.app.runtime_files import directory, end_setup_code, request_power_off, write_setup_code
from appliance.status.board import Board
from appliance.status.events import AccountsState
from tests.support.clock import HandClock


def test_without_a_runtime_directory_there_is_nothing(tmp_path: Path) -> None:
    assert directory({}) is None and directory({"RUNTIME_DIRECTORY": f"{tmp_path}:/other"}) == tmp_path
    for place in (None, tmp_path / "gone"):
        request_power_off(place)
        write_setup_code(place, "code")
    assert not list(tmp_path.iterdir())


def test_the_request_and_the_code_are_files(tmp_path: Path) -> None:
    request_power_off(tmp_path)
    write_setup_code(tmp_path, "aaaa-bbbb-cccc")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["request-power-off", "setup-code"]
    assert (tmp_path / "setup-code").read_text() == "aaaa-bbbb-cccc"


async def test_the_first_account_takes_the_code_away(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    board = Board(HandClock(), lambda event: None)
    write_setup_code(tmp_path, "aaaa-bbbb-cccc")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_setup_code, tmp_path, board)
        board.publish(AccountsState(0, ("home.example",)))
        await trio.sleep(10)
        assert (tmp_path / "setup-code").read_text() == "aaaa-bbbb-cccc"
        board.publish(AccountsState(1, ("home.example",)))
    assert (tmp_path / "setup-code").read_text() == ""
