"""The Clock port: what the server knows about time.

A board without a clock chip wakes in 1970 and is stepped months forward later, so durations and
deadlines use monotonic time; wall time is for people and for headers.
"""

from typing import Protocol


class Clock(Protocol):
    def wall_s(self) -> float:
        """Seconds since 1970 in UTC; may step."""
        ...

    def mono_s(self) -> float:
        """Seconds that only rise; no meaning across a restart."""
        ...

    def trusted(self) -> bool:
        """True once the wall clock is known to be right."""
        ...

    def utc_offset_s(self) -> int:
        """Seconds east of UTC of local time, for header dates."""
        ...
