"""Listeners on trial: back by themselves, confirmed, or left alone when the file was changed by hand."""

from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.app.components import open_components
from appliance.app.listener_trial import NAME, TRIAL_S, ListenerTrial
from appliance.app.outbound import Outbound
from appliance.config.settings import Settings
from appliance.control.requests import ChangeListeners, ConfirmListeners, ShowSettings
from appliance.mail.errors import SetupError
from appliance.runtime.supervisor import Ending

BEFORE, CHANGED = '# mine\n[listen]\nimap = "127.0.0.1:2143"\n', '# mine\n[listen]\nimap = "127.0.0.1:3143"\n'


class Trial:
    def __init__(self, directory: Path) -> None:
        self.directory, self.file = directory, directory / "pillarbox.toml"
        self.restarts, self.said = 0, list[str]()

    def started(self) -> ListenerTrial:
        return ListenerTrial(self.directory, self.file, self._again, self.said.append)

    def _again(self) -> None:
        self.restarts += 1


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    made = Trial(tmp_path)
    made.started().begin(BEFORE, CHANGED)
    made.file.write_text(CHANGED)
    return made


async def test_without_an_answer_it_goes_back(trial: Trial, autojump_clock: object) -> None:
    began = trio.current_time()
    await trial.started().run()
    assert trio.current_time() - began == pytest.approx(TRIAL_S, abs=1)
    assert trial.file.read_text() == BEFORE and trial.restarts == 1 and not (trial.directory / NAME).exists()
    await trial.started().run()
    assert trial.restarts == 1, "the start after that is an ordinary one"


async def test_confirmed_it_stays(trial: Trial, autojump_clock: object) -> None:
    one = trial.started()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.sleep(TRIAL_S - 1)
        assert 0 < one.left_s <= 1 and await one.confirm(one.id)
    await trial.started().run()
    assert trial.file.read_text() == CHANGED and trial.restarts == 0 and not await one.confirm(one.id)


async def test_changed_by_hand_it_is_left_alone(trial: Trial, autojump_clock: object) -> None:
    trial.file.write_text("# another\n")
    await trial.started().run()
    assert trial.file.read_text() == "# another\n" and trial.restarts == 0 and "by hand" in trial.said[0]


async def test_a_power_cut_before_the_settings_were_written_changes_nothing(trial: Trial, autojump_clock: object) -> None:
    trial.file.write_text(BEFORE)
    await trial.started().run()
    assert trial.file.read_text() == BEFORE and trial.restarts == 0


async def test_through_the_admin_api(tmp_path: Path) -> None:
    endings: list[Ending] = []
    file = tmp_path / "data" / "pillarbox.toml"
    async with open_components(tmp_path / "data", Settings()) as components:
        file.write_text(BEFORE)
        tls: Any = None
        trial = ListenerTrial(file.parent, file, lambda: None, print)
        running = Running(tls, stop=endings.append, end_sessions=lambda: 0, trial=trial)
        api = AdminApi(components, await Outbound.open(components), running)
        shown = (await api.ask(ShowSettings())).facts
        assert ("imap", ["127.0.0.1:2143"]) in [(one["name"], one["value"]) for one in shown["listeners"]] and shown["trial_s"] == 0
        for wrong in ({"imap": "nonsense"}, {"no_such": "x:1"}):
            with pytest.raises(SetupError):
                await api.ask(ChangeListeners(wrong, shown["digest"]))
        with pytest.raises(SetupError, match="meanwhile"):
            await api.ask(ChangeListeners({"imap": "127.0.0.1:3143"}, "another"))
        assert file.read_text() == BEFORE and trial.note() is None and not endings
        await api.ask(ChangeListeners({"imap": "127.0.0.1:3143"}, shown["digest"]))
        assert "3143" in file.read_text() and "# mine" in file.read_text() and endings == [Ending.RESTART]
        note = trial.note()
        assert note is not None and note.before == BEFORE
        with pytest.raises(SetupError, match="on trial"):
            await api.ask(ConfirmListeners("an earlier one"))
        await api.ask(ConfirmListeners(note.id))
        assert trial.note() is None
        with pytest.raises(SetupError, match="on trial"):
            await api.ask(ConfirmListeners(note.id))


async def test_a_change_while_another_is_on_trial_has_its_own_minute(trial: Trial, autojump_clock: object) -> None:
    """The time of the first runs out while the server restarts for the second."""
    one, third = trial.started(), CHANGED.replace("3143", "4143")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.sleep(TRIAL_S - 1)
        one.begin(CHANGED, third)
        trial.file.write_text(third)
    assert trial.file.read_text() == third and trial.restarts == 0 and not trial.said
    await trial.started().run()
    assert trial.file.read_text() == BEFORE and trial.restarts == 1


async def test_a_page_of_an_earlier_trial_ends_no_other(trial: Trial, autojump_clock: object) -> None:
    one, third = trial.started(), CHANGED.replace("3143", "4143")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await trio.sleep(1)
        shown = one.id
        one.begin(CHANGED, third)
        trial.file.write_text(third)
        assert shown and one.id != shown and not await one.confirm(shown)
        assert (note := one.note()) is not None and note.before == BEFORE
        nursery.cancel_scope.cancel()
