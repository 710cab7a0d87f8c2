"""A manually advanced clock for the Clock port."""


class HandClock:
    """Starts on 1 December 2026; both its times move only by `forward` and `step`."""

    def __init__(self, wall_s: float = 1_796_083_200.0, *, trusted: bool = True) -> None:
        self.now_s = wall_s
        self.mono = 1000.0
        self.is_trusted = trusted

    def forward(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds
        self.mono += seconds

    def step(self, seconds: float) -> None:
        """The wall clock is stepped."""
        self.now_s += seconds

    def wall_s(self) -> float:
        return self.now_s

    def mono_s(self) -> float:
        return self.mono

    def trusted(self) -> bool:
        return self.is_trusted

    def utc_offset_s(self) -> int:
        return 0
