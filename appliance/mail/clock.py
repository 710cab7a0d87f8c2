"""The Clock port: wall clock and monotonic time.

A board without a real-time clock starts in 1970 and is stepped by NTP later, so durations and
deadlines use monotonic time; wall time is for display, rows and header fields.
"""

from typing import Protocol


class Clock(Protocol):
    def wall_s(self) -> float:
        """Seconds since 1970 in UTC; may step."""
        ...

    def mono_s(self) -> float:
        """Monotonic seconds; not comparable across a restart."""
        ...

    def trusted(self) -> bool:
        """True once the wall clock is known to be synchronized."""
        ...

    def utc_offset_s(self) -> int:
        """Seconds east of UTC of local time, for header dates."""
        ...
