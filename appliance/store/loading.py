"""Load messages: the bodies of a batch of rows, read in the snapshot that found the rows."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from appliance.mail.ids import BodyId

from .bodies import Bodies
from .body_readers import Body, StoredMessage
from .values import Row, Want

T = TypeVar("T")
OPENING = Want.DATES | Want.BODY
"""What of a row a message is opened from."""


def fitting(rows: Sequence[Row], octets: int) -> Sequence[Row]:
    """The first rows, at least one, as many as fit in `octets`."""
    for count, row in enumerate(rows):
        octets -= row.octets
        if octets < 0 and count:
            return rows[:count]
    return rows


def load(connection: sqlite3.Connection, bodies: Bodies, rows: Sequence[Row], octets: int) -> dict[BodyId, Body]:
    return bodies.load(connection, [row.body for row in rows], octets)


def messages(rows: Sequence[Row], bodies: Mapping[BodyId, Body]) -> list[StoredMessage]:
    """One that is gone raises GONE when it is opened or read; its sizes are wrong."""
    return [_message(row, bodies[row.body]) for row in rows]


def examined(
    connection: sqlite3.Connection, bodies: Bodies, rows: Sequence[Row], octets: int, work: Callable[[Row, bytes], T]
) -> list[T | StoredMessage]:
    """`work(row, prefix and body)` of the first rows, as many as fit in `octets`; the message itself where its octets are not in memory."""
    chosen = fitting(rows, octets)
    found = load(connection, bodies, chosen, octets)
    results: list[T | StoredMessage] = []
    for row in chosen:
        raw = found[row.body].whole()
        results.append(_message(row, found[row.body]) if raw is None else work(row, row.prefix + raw))
    return results


def _message(row: Row, body: Body) -> StoredMessage:
    return StoredMessage(row.prefix, row.parts, body)
