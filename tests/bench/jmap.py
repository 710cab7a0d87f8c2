"""JMAP in the running server: CPU of what a mail program asks all day, beside IMAP's for the same; memory; octets written.

    python -m tests.bench.jmap [--messages 100000] [--rounds 40]

Octets written need root.
"""

import argparse
import base64
import http.client
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.store.search_filling import BATCH
from tests.support.server import PASSWORD, Pillarbox

from .clients import Imap, connect, tls
from .growth import indexed_up_to, messages_above, wait_for_index
from .meters import LoopDevice, Process
from .rows import multiply
from .searches import spent_s
from .web import OTHERS, pss_mb, served

if TYPE_CHECKING:
    from .__main__ import Table

USER = "u1@bench.test"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
BY_DATE = {"sort": [{"property": "receivedAt", "isAscending": False}], "limit": 50}
ROW = ["threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "sentAt", "hasAttachment", "preview"]
IMAP_ROW = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE PREVIEW)"
RARE = "quicksilver"
BLOCK = 1000
"""Messages appended; the others are rows made of theirs."""


class Jmap:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPSConnection("localhost", port, context=tls(), timeout=300)
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.fields = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}

    def ask(self, name: str, **arguments: Any) -> Any:
        body = json.dumps({"using": USING, "methodCalls": [[name, {"accountId": "A1", **arguments}, "c"]]})
        self.http.request("POST", "/jmap/api", body, self.fields)
        answered, found, _ = json.loads(self.http.getresponse().read())["methodResponses"][0]
        assert answered == name, found
        return found


def messages(count: int) -> Iterator[bytes]:
    """Small ones, each third a reply to an earlier one."""
    for number in range(count):
        reply = f"In-Reply-To: <m{number // 3 * 3}@x.example>\r\n" if number % 3 else ""
        text = f"The {RARE} is here." if number % 1000 == 7 else "Nothing new."
        yield (
            f"From: Sender {number % 50} <s{number % 50}@x.example>\r\nTo: <{USER}>\r\nSubject: plan {number // 3}\r\n"
            f"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <m{number}@x.example>\r\n{reply}\r\n{text}\r\n"
        ).encode()


def cpu_ms(process: Process, work: Callable[[], Any], rounds: int, between: Callable[[], Any] = lambda: None) -> float:
    """CPU of the server for one, without what happens between two: the median, as threads end now and then with what they used."""
    work()
    found = []
    for _ in range(rounds):
        between()
        process.settle(1)
        before = process.cpu_s()
        work()
        found.append(process.cpu_s() - before)
    return 1000 * statistics.median(found)


def cost(table: "Table", server: Pillarbox, process: Process, rounds: int) -> None:
    imap, jmap = Imap(server.ports["imap"], USER), Jmap(server.ports["https"])

    def arrive() -> None:
        imap.append_many("INBOX", messages(1))

    def measure(name: str, work: Callable[[], Any], most: float | None = None, between: Callable[[], Any] = lambda: None) -> float:
        figure = cpu_ms(process, work, rounds, between)
        table.add(f"jmap: {name}, CPU ms", figure, **({"most": most} if most is not None else {}))
        return figure

    nothing = measure("Core/echo", lambda: jmap.ask("Core/echo"))
    measure("Email/query, 50 by date, nothing changed", lambda: jmap.ask("Email/query", **BY_DATE), 5)
    measure("Email/query, 50 by date, after an arrival", lambda: jmap.ask("Email/query", **BY_DATE), 5, arrive)
    text = {**BY_DATE, "filter": {"text": RARE}}
    measure("Email/query, 50 with text, nothing changed", lambda: jmap.ask("Email/query", **text), 10)
    measure("Email/query, 50 with text, after an arrival", lambda: jmap.ask("Email/query", **text), 10, arrive)
    ids = jmap.ask("Email/query", **BY_DATE)["ids"]
    rows = measure("Email/get of 50 rows", lambda: jmap.ask("Email/get", ids=ids, properties=ROW), 10)
    whole = {"fetchTextBodyValues": True, "fetchHTMLBodyValues": True}
    one = measure("Email/get of one message", lambda: jmap.ask("Email/get", ids=ids[:1], **whole), 5)
    state = jmap.ask("Email/get", ids=[])["state"]
    arrive()
    measure("Email/changes after one arrival, above Core/echo", lambda: jmap.ask("Email/changes", sinceState=state))
    changes = cpu_ms(process, lambda: jmap.ask("Email/changes", sinceState=state), rounds) - nothing
    table.add("jmap: Email/changes after one arrival beyond an empty call, CPU ms", changes, most=1)
    threads = [one["threadId"] for one in jmap.ask("Email/get", ids=ids, properties=["threadId"])["list"]]
    measure("Thread/get of 50 threads", lambda: jmap.ask("Thread/get", ids=threads), 5)
    last = int(re.findall(rb"\* (\d+) EXISTS", imap.ask("SELECT INBOX"))[-1])
    imap_rows = cpu_ms(process, lambda: imap.ask(f"FETCH {last - 49}:{last} {IMAP_ROW}", keep=False), rounds)
    imap_one = cpu_ms(process, lambda: imap.ask(f"FETCH {last} (ENVELOPE BODYSTRUCTURE BODY.PEEK[])", keep=False), rounds)
    table.add("jmap: 50 rows, times the CPU of FETCH", rows / imap_rows, most=2)
    table.add("jmap: one message, times the CPU of FETCH", one / imap_one, most=2)
    imap.close()
    secure = Imap(server.ports["imaps"], USER, tls())  # as JMAP is
    secure.ask("SELECT INBOX")
    secure_rows = cpu_ms(process, lambda: secure.ask(f"FETCH {last - 49}:{last} {IMAP_ROW}", keep=False), rounds)
    secure_one = cpu_ms(process, lambda: secure.ask(f"FETCH {last} (ENVELOPE BODYSTRUCTURE BODY.PEEK[])", keep=False), rounds)
    table.add("jmap: 50 rows, times the CPU of FETCH over TLS", rows / secure_rows)
    table.add("jmap: one message, times the CPU of FETCH over TLS", one / secure_one)
    secure.close()


def drafts(table: "Table", jmap: Jmap, written: Callable[[], int], rounds: int = 20) -> None:
    """A draft saved anew, the old one destroyed: in one call, and in two."""
    box = next(one["id"] for one in jmap.ask("Mailbox/get", ids=None)["list"] if one["role"] == "drafts")
    text = "x" * 70 + "\n"

    def draft(number: int) -> dict[str, Any]:
        given = {"mailboxIds": {box: True}, "keywords": {"$draft": True}, "subject": f"draft {number}", "textBody": [{"partId": "t"}]}
        return {"d": {**given, "bodyValues": {"t": {"value": text * (number + 20)}}}}

    def save(number: int, old: str, together: bool) -> str:
        done = jmap.ask("Email/set", create=draft(number), **({"destroy": [old]} if together else {}))
        if not together:
            jmap.ask("Email/set", destroy=[old])
        new: str = done["created"]["d"]["id"]
        return new

    for name, together in (("one call", True), ("two calls", False)):
        old = jmap.ask("Email/set", create=draft(0))["created"]["d"]["id"]
        before = written()
        for number in range(rounds):
            old = save(number, old, together)
        table.add(f"jmap: a draft saved anew in {name}, kB written", (written() - before) / rounds / 1000)


def memory(table: "Table", work: Path) -> None:
    with served(work / "memory", *OTHERS, "http", "https") as (server, process):
        client = Jmap(server.ports["https"])
        client.http.request("GET", "/sign-in")  # the web alone
        client.http.getresponse().read()
        imap = Imap(server.ports["imap"], USER)
        imap.append_many("INBOX", messages(50))
        imap.ask("SELECT INBOX")
        imap.ask(f"FETCH 1:* {IMAP_ROW}", keep=False)
        imap.close()
        before = pss_mb(process)
        ids = client.ask("Email/query", **BY_DATE)["ids"]
        for _ in range(20):
            client.ask("Email/get", ids=ids, properties=ROW)
            client.ask("Email/get", ids=ids[:1], fetchAllBodyValues=True)
        table.add("jmap: PSS with a client that reads, MB more than the web", pss_mb(process) - before, most=3)


def streams(table: "Table", work: Path) -> None:
    """Open event streams over TLS, as many as two accounts may have."""
    with served(work / "streams", *OTHERS, "http", "https") as (server, process):
        held = []

        def opened(count: int) -> None:
            for number in range(count):
                sock = connect(server.ports["https"], tls())
                credentials = base64.b64encode(f"u{number % 2 + 1}@bench.test:{PASSWORD}".encode()).decode()
                sock.sendall(f"GET /jmap/events?types=* HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\r\n".encode())
                while b":\n\n" not in sock.recv(65536):
                    pass
                held.append(sock)

        opened(4)
        few = pss_mb(process)
        opened(28)
        table.add("jmap: PSS of an open event stream over TLS, kB", 1024 * (pss_mb(process) - few) / 28, most=40)
        for sock in held:
            sock.close()


def at_rest(written: Callable[[], int], data: Path) -> None:
    """Wait until the search index, which looks every minute, is whole, and what is written lazily is written. Raises AssertionError."""
    last = -1
    for _ in range(12):
        if last == (last := written()):
            left = messages_above(data, indexed_up_to(data))
            assert left < BATCH, f"the search index lacks {left} messages and does not go on"
            return
        time.sleep(90)
    raise AssertionError("the server goes on writing without being asked anything")


def changed_files(place: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of each file."""
    return {str(path.relative_to(place)): (about.st_size, about.st_mtime_ns) for path in place.rglob("*") for about in (path.stat(),)}


def run(table: "Table", work: Path, count: int = 100_000, rounds: int = 40) -> None:
    work.mkdir(parents=True, exist_ok=True)
    memory(table, work)
    streams(table, work)
    device = LoopDevice(work) if os.geteuid() == 0 else None
    try:
        # its log, here a file, is no part of the storage: on a machine it goes to the journal, which is in memory
        with served((device.place if device else work) / "run", *OTHERS, "http", "https", log=work / "log") as (server, _):

            def written() -> int:
                if device is None:
                    return process.written()
                device.sync()
                return device.counts()[0]

            imap = Imap(server.ports["imap"], USER)
            imap.append_many("INBOX", messages(BLOCK))
            imap.close()
            server.stop()
            multiply(server.data, count // BLOCK)
            process = Process(server.start().pid)
            wait_for_index(server.data, count)  # begun 20 s after the start; a search before would read all messages
            process.settle(60)
            cost(table, server, process, rounds)
            drafts(table, Jmap(server.ports["https"]), written)
            at_rest(written, server.data)
            jmap = Jmap(server.ports["https"])  # the server closed the idle connection
            ids = jmap.ask("Email/query", **BY_DATE)["ids"]
            time.sleep(15)  # when the password was used is written
            before, files = written(), changed_files(server.data)
            for _ in range(20):
                jmap.ask("Email/query", **BY_DATE)
                jmap.ask("Email/get", ids=ids, properties=ROW)
                jmap.ask("Email/get", ids=ids, fetchAllBodyValues=True)
            process.settle(10)
            if device is not None:
                octets = written() - before
                table.add("jmap: octets written by reading", octets, most=0)
                if octets:
                    print(f"  (changed: {sorted(dict(changed_files(server.data).items() ^ files.items()))})")
            print(f"  (CPU of the server in all: {spent_s(process):.0f} s)")
    finally:
        if device is not None:
            device.close()


def main() -> None:
    from .__main__ import Table

    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=100_000)
    words.add_argument("--rounds", type=int, default=40)
    options = words.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pillarbox-bench-", dir=base) as work:
        run(Table(), Path(work), options.messages, options.rounds)


if __name__ == "__main__":
    main()
