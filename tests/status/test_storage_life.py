"""status/storage_life: the estimate."""

import pytest

from appliance.status.storage_life import life_text, life_years

GB = 10**9


def test_the_estimate() -> None:
    assert life_years(0, 5) is None and life_years(5, 0) is None and life_text(0, 5) == ""
    assert life_years(16 * GB, 16 * GB * 60 // 365) == pytest.approx(1.0, rel=0.01)
    assert life_text(16 * GB, 10**7) == "enough for more than 20 years"
    assert life_text(16 * GB, 500 * 10**6) == "enough for 5 years" and life_text(16 * GB, 5 * GB) == "enough for 6 months"
