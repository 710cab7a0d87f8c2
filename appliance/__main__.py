"""`python -m appliance` and the command `pillarbox`."""


def main() -> int:
    return 0
