"""web/challenges: bounded in number and time, good once, and only for the browser they were given to."""

from appliance.web.challenges import CHALLENGE_S, CHALLENGES, Challenges


def test_they_end_by_use_time_number_and_another() -> None:
    challenges = Challenges()
    first = challenges.give("ada", 10.0)
    assert challenges.take("mary", 10.0) is None and challenges.take("", 10.0) is None
    assert challenges.take("ada", 10.0 + CHALLENGE_S - 1) == first and len(first) == 32
    assert challenges.take("ada", 10.0) is None, "used up"
    challenges.give("ada", 10.0)
    assert challenges.take("ada", 10.0 + CHALLENGE_S) is None and challenges.take("ada", 10.0) is None, "too late, and forgotten"
    before = challenges.give("ada", 0.0)
    assert challenges.give("ada", 0.0) != before and challenges.take("ada", 0.0) != before
    for number in range(CHALLENGES + 1):
        challenges.give(str(number), 0.0)
    assert challenges.take("0", 0.0) is None and challenges.take("1", 0.0) is not None
