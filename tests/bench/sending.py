"""The cost of sending: a message to one remote host, and a queue of a hundred thousand messages.

A name server and a sink stand on loopback addresses in this process; the server is the real command.
"""

import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.neighbours import Neighbours
from tests.support.server import Pillarbox, pillarbox

from . import postfix
from .meters import LoopDevice, Process

if TYPE_CHECKING:
    from .__main__ import Table

MB = 1024.0
WAITING = 100_000
DESTINATIONS = 500


def messages(table: "Table", work: Path, count: int) -> None:
    """Accepted and delivered to one remote host: alone and from twenty sessions at once."""
    for sessions, most in ((1, 1.2), (20, 0.3)):
        place = work / f"send{sessions}"
        place.mkdir()
        device = LoopDevice(place) if os.geteuid() == 0 else None
        with Neighbours(device.place if device else place, more="check_port_25 = false", accounts=("ada",)) as world:
            limits = "[accounts]\nmessages_per_hour = 100000\nrecipients_per_day = 1000000\n[limits]\nconnections_per_address = 1000\n"
            world.write_settings(after=limits)
            sink = world.peer("far.example")
            with world.server as server:
                process = Process(server.pid)
                process.settle()
                if sessions == 1:
                    table.add("PSS idle with the queue, nothing sent yet, MB", process.memory_kb()["Pss"] / MB)
                world.send("bob@far.example")
                world.arrived(sink)
                process.settle()
                if sessions == 1:
                    table.add("PSS idle with queue, resolver and delivery loaded, MB", process.memory_kb()["Pss"] / MB, most=28)
                if device:
                    device.sync()
                start, spent = device.counts() if device else (0, 0), process.cpu_s()
                octets = world.send_many(count, sessions)
                world.arrived(sink, count + 1, 300)
                world.until(lambda world=world: not world.ask("queue", "list")["messages"], 60)
                process.settle()
                name = f"sent from {sessions} session{'s' * (sessions > 1)}"
                table.add(f"{name}: CPU ms a message", 1000 * (process.cpu_s() - spent) / count, most=5)
                if device:
                    device.sync()
                    end = device.counts()
                    table.add(f"{name}: device flushes a message", (end[1] - start[1]) / count, most=most)
                    room = 1.1 * octets / count + 12_288
                    table.add(f"{name}: octets written a message", (end[0] - start[0]) / count, most=room)
        if device:
            device.close()
            if postfix.installed():
                flushes, written = postfix.relayed(work, count, sessions)
                table.add(f"the same relayed by Postfix, {sessions} session{'s' * (sessions > 1)}: device flushes a message", flushes)
                table.add(f"the same relayed by Postfix, {sessions} session{'s' * (sessions > 1)}: octets written a message", written)
        shutil.rmtree(place, ignore_errors=True)


def waiting(table: "Table", work: Path) -> None:
    """A server that starts with a hundred thousand messages waiting."""
    place = work / "waiting"
    place.mkdir()
    with Neighbours(place, more="check_port_25 = false", first=80_000, most=80_000, accounts=("ada",)) as world:
        sink = world.peer("far.example")
        with world.server as server:
            process = Process(server.pid)
            process.settle()
            empty = process.memory_kb()["Pss"] / MB
            world.names.silent.add("kept.example")
            world.send("bob@kept.example")
            name = world.send("bob@far.example")
            world.arrived(sink)
            world.until(lambda: world.track(name)[-1] == "sent")
            world.until(lambda: world.ask("queue", "list")["messages"][0]["attempts"] == 1, 60)
        fill(world.data)
        begun = time.monotonic()
        with Pillarbox(world.data, "--settings", str(world.settings)) as server:
            world.arrived(sink, 2, 60)
            table.add(f"{WAITING} waiting: start of the command to the first message sent, s", time.monotonic() - begun)
            process = Process(server.pid)
            process.settle(20)
            table.add(f"{WAITING} waiting: memory above the empty queue, MB", process.memory_kb()["Pss"] / MB - empty, most=8)
            spent, written, begun = process.cpu_s(), process.written(), time.monotonic()
            time.sleep(20)
            share = (process.cpu_s() - spent) / (time.monotonic() - begun)
            table.add(f"{WAITING} waiting: CPU between due moments, % of a core", 100 * share)
            table.add(f"{WAITING} waiting: octets written between due moments", process.written() - written, most=0)
            server.kill()
    shutil.rmtree(place, ignore_errors=True)
    assert pillarbox("--version").returncode == 0


def fill(data: Path) -> None:
    """The one message that waits, a hundred thousand times, in many destinations; one of them due now for a server that answers."""
    with sqlite3.connect(data / "pillarbox.db") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(queue)")]
        kept = ", ".join(name for name in columns if name not in ("id", "destination", "due_at", "message", "outbox_mailbox", "outbox_uid"))
        (number, body) = db.execute("SELECT id, body FROM queue").fetchone()
        db.execute(
            f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {WAITING})
            INSERT INTO queue(id, destination, due_at, message, {kept})
            SELECT {number} + i, 'destination' || (i % {DESTINATIONS}) || '.example', due_at, 'message' || i, {kept} FROM queue, n"""
        )
        db.execute("UPDATE queue SET destination = 'far.example', due_at = 0 WHERE id = ?", (number,))
        db.execute("UPDATE body SET refcount = refcount + ? WHERE id = ?", (WAITING, body))
        db.execute("UPDATE counter SET next = next + ? WHERE name = 'queue'", (WAITING + 1000,))
    db.close()
