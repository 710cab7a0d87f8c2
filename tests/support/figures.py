"""Figures a test measured, told after the run: wall-clock promises are asserted at ten times their figure and printed here."""

TOLD: list[str] = []


def tell(promise: str, figure: str) -> None:
    """One line of the summary."""
    TOLD.append(f"{promise}: {figure}")
    print(f"{promise}: {figure}")
