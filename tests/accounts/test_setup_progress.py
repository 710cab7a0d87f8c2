"""accounts/setup_progress: answers outlive a restart, and nothing is left when setup is over."""

from appliance.accounts.setup_progress import SetupAnswers, SetupProgress
from tests.support.accounts import Family


async def test_answers_are_kept_until_the_end(family: Family) -> None:
    progress = SetupProgress(family.writer)
    assert await progress.answers() == SetupAnswers()
    await progress.keep(language="de")
    await progress.keep(name="Jürgen", local="j", answered=True)
    again = SetupProgress(family.writer)
    assert await again.answers() == SetupAnswers("de", "Jürgen", "j", "", True, "")
    await again.end()
    assert await SetupProgress(family.writer).answers() == SetupAnswers() == await again.answers()
