"""Many messages written as rows: the messages of an INBOX again and again, as delivering 100,000 would take minutes."""

import sqlite3
from pathlib import Path


def multiply(data: Path, times: int) -> None:
    """INBOX has `times` as many messages: each block of rows is the first one again, with ids, threads and dates of its own.

    The server is stopped, and all messages of the one account are in INBOX.
    """
    with sqlite3.connect(data / "pillarbox.db") as db:
        db.execute("PRAGMA synchronous=OFF")
        mailbox, uid_next, modseq = db.execute("SELECT id, uid_next, modseq FROM mailbox WHERE messages > 0").fetchone()
        first, last, count = db.execute("SELECT min(id), max(id), count(*) FROM message_data").fetchone()
        step, added = last - first + 1, count * (times - 1)
        db.execute("UPDATE message SET internal_at = internal_at - ?", (times * step,))
        data_step, number = f"i * {step}", f"{modseq} + (i - 1) * {step} + id - {first} + 1"
        changed = {"id": f"id + {data_step}", "thread": f"thread + {data_step}", "message_id_hash": "NULL", "created_modseq": number}
        _repeat(db, "message_data", changed, f"id BETWEEN {first} AND {last}", times)
        number = number.replace("id -", "message_data -")
        changed = {"uid": f"uid + i * {uid_next}", "modseq": number, "message_data": f"message_data + {data_step}"}
        _repeat(db, "message", changed | {"internal_at": f"internal_at + {data_step}"}, f"uid < {uid_next}", times)
        db.execute(
            "UPDATE mailbox SET uid_next = uid_next * ?1, modseq = ?2, messages = messages * ?1, unseen = unseen * ?1, octets = octets * ?1"
            " WHERE id = ?3",
            (times, modseq + step * times, mailbox),
        )
        db.execute("DELETE FROM changed")  # with none, changes are looked for in all rows
        db.execute("UPDATE body SET refcount = refcount * ?", (times,))
        db.execute("UPDATE counter SET next = next + ? WHERE name = 'message'", (step * times,))
        db.execute("UPDATE counter SET next = next + ? WHERE name LIKE 'modseq%'", (added + step,))
    db.close()


def _repeat(db: sqlite3.Connection, table: str, changed: dict[str, str], where: str, times: int) -> None:
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, name) for name in columns)
    db.execute(
        f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times - 1})
            INSERT INTO {table}({", ".join(columns)}) SELECT {values} FROM n, {table} WHERE {where} ORDER BY i"""
    )
