"""Load messages: the bodies of a batch of rows, read in the snapshot that found the rows."""

import sqlite3
from collections.abc import Mapping, Sequence

from appliance.mail.ids import BodyId
from appliance.mail.partmap import find

from .bodies import Bodies
from .body_readers import Body, StoredMessage
from .values import Row, Want

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
    return [StoredMessage(row.prefix, row.parts, len(row.prefix) + _header_octets(row.parts), bodies[row.body]) for row in rows]


def _header_octets(parts: bytes) -> int:
    part = find(parts, ())
    return part.body_start if part is not None else 0
