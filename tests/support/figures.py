"""Figures measured by tests, printed in the summary of the run: time limits are asserted at ten times their figure and reported here."""

REPORTED: list[str] = []


def report_figure(promise: str, figure: str) -> None:
    """One line of the summary."""
    REPORTED.append(f"{promise}: {figure}")
    print(f"{promise}: {figure}")
