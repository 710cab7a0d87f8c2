"""Alias expansion: one address that stands for others, on this server or outside.

Rules: an address is expanded once however often it turns up, so chains and groups may cross and loops end;
at most EXPANSIONS addresses come out of one. Pure; the rows are written by `accounts.Accounts`.
"""

from collections.abc import Callable

EXPANSIONS = 1000
"""Addresses one alias may reach, as many as a message may have recipients (RFC 5321 §4.5.3.1.8)."""


def expand(start: str, targets_of: Callable[[str], tuple[str, ...]]) -> list[str]:
    """Every address `start` leads to that is no alias itself, in order, without repeats.

    `targets_of(address)` gives an alias's targets, or () for an address that is none; `start` itself is not among
    the answers when it only leads to itself.
    """
    ends: list[str] = []
    met = {start}
    waiting = [start]
    while waiting and len(met) <= EXPANSIONS:
        address = waiting.pop()
        targets = targets_of(address)
        if not targets:
            ends.append(address)
        for target in reversed(targets):
            if target not in met:
                met.add(target)
                waiting.append(target)
    return ends


def leads_back(alias: str, target: str, targets_of: Callable[[str], tuple[str, ...]]) -> bool:
    """Would an alias to `target` close a loop? True when `target` already leads to `alias`."""
    met, waiting = {target}, [target]
    while waiting:
        address = waiting.pop()
        if address == alias:
            return True
        for further in targets_of(address):
            if further not in met:
                met.add(further)
                waiting.append(further)
    return False
