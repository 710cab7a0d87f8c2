"""`make bench`: what Pillarbox costs, beside the bars; with the shared harness present, beside its peers too.

    python -m tests.bench [--quick] [--parts memory,delivery,...] [--idle-minutes 10]

Storage writes and flushes are counted at the block device of a fresh ext4 on a loop device, which needs root; without it those
rows say so. Everything runs on this machine's loopback. Figures of one run on a shared machine: trust counts, read times as hints.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import Pillarbox, new_data, pillarbox

from . import jmap, panel, postfix, sending, web, webmail
from .clients import Imap, Pop3, Smtp, connect, deliver, tls
from .messages import mixed, small
from .meters import LoopDevice, Process

ACCOUNTS = ("u1", "u2", "u3", "u4", "u5")
HARNESS = Path(__file__).resolve().parents[3] / "shared" / "bench"
MB = 1024.0
DATA_P99 = {10: 2.0, 50: 3.0}
"""How many times Postfix's a reply to DATA may take at worst, by sessions."""


@dataclass(slots=True)
class Row:
    measure: str
    figure: float
    bar: str = ""
    good: bool | None = None


class Table:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, measure: str, figure: float, most: float | None = None, least: float | None = None) -> None:
        bar = f"at most {most:g}" if most is not None else f"at least {least:g}" if least is not None else ""
        good = figure <= most if most is not None else figure >= least if least is not None else None
        self.rows.append(Row(measure, figure, bar, good))
        print(f"  {measure:<64} {figure:>10.3f}   {bar:<16} {'' if good is None else 'kept' if good else 'MISSED'}", flush=True)


class Bench:
    def __init__(self, work: Path, quick: bool, idle_minutes: float) -> None:
        self.work, self.quick, self.idle_minutes = work, quick, idle_minutes
        self.table = Table()
        self.count = 0

    @contextmanager
    def server(self, on_device: bool = False) -> Iterator[tuple[Pillarbox, Process, LoopDevice | None]]:
        """A fresh server; on a counted device where root allows."""
        self.count += 1
        place = self.work / f"run{self.count}"
        place.mkdir()
        device = LoopDevice(place) if on_device and os.geteuid() == 0 else None
        data = new_data((device.place if device else place) / "data", *ACCOUNTS, domain="bench.test")
        settings = place / "settings.toml"
        settings.write_text("[limits]\nconnections_per_address = 1000\n")
        server = Pillarbox(data, "--settings", str(settings), domain="bench.test", log=place / "log")
        try:
            server.start()
            yield server, Process(server.pid), device
        finally:
            server.stop()
            if device:
                device.close()
            shutil.rmtree(place, ignore_errors=True)

    def start(self) -> None:
        with self.server() as (server, process, _):
            process.settle()
            server.stop()
            begun = time.perf_counter()
            server.process = None
            with server.log.open("ab") as log:
                server.process = subprocess.Popen(server.words, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
            while True:
                try:
                    with connect(server.ports["smtp"]) as sock:
                        if sock.recv(3) == b"220":
                            break
                except OSError:
                    time.sleep(0.002)
            self.table.add("start to first 220, s", time.perf_counter() - begun, most=0.5)

    def memory(self) -> None:
        with self.server() as (server, process, _):
            process.settle()
            idle = process.memory_kb()
            self.table.add("PSS idle after start, MB", idle["Pss"] / MB, most=24)
            self.table.add("RSS idle after start, MB", idle["Rss"] / MB)
            messages = mixed(200, [f"{name}@bench.test" for name in ACCOUNTS])
            deliver(server.ports["smtp"], messages, 4)
            process.settle()
            self.table.add("PSS soon after 200 deliveries, MB", process.memory_kb()["Pss"] / MB, most=32)
            context, sessions = tls(), []

            def open_to(goal: int) -> None:
                while len(sessions) < goal:
                    imap = Imap(server.ports["imaps"], f"{ACCOUNTS[len(sessions) % 5]}@bench.test", context)
                    imap.ask("SELECT INBOX")
                    imap.idle()
                    sessions.append(imap)

            open_to(5)  # the first login of each account pays for the slow hash
            before = process.cpu_s()
            open_to(50)
            self.table.add("TLS login + SELECT, CPU ms (password seen before)", 1000 * (process.cpu_s() - before) / 45, most=2.5)
            process.settle()
            at_50 = process.memory_kb()
            open_to(200)
            process.settle()
            at_200 = process.memory_kb()
            self.table.add("PSS with 200 idle TLS IMAP connections, MB", at_200["Pss"] / MB, most=36)
            self.table.add("KB a connection", (at_200["Pss"] - at_50["Pss"]) / 150, most=40)
            for imap in sessions:
                imap.close()

    def delivery(self) -> None:
        count = 300 if self.quick else 2000
        messages = mixed(count, [f"{name}@bench.test" for name in ACCOUNTS])
        octets = sum(len(message) for _, message in messages)
        bars = {1: (1.15, 1.4, None), 10: (None, None, 3.0), 50: (0.95, 0.35, None)}
        for sessions, (ratio, flushes, cpu) in bars.items():
            with self.server(on_device=True) as (server, process, device):
                used = device.used() if device else 0
                if device:
                    device.sync()
                start, begun, before = device.counts() if device else (0, 0), time.perf_counter(), process.cpu_s()
                took = sorted(deliver(server.ports["smtp"], messages, sessions))
                seconds, spent = time.perf_counter() - begun, process.cpu_s() - before
                process.settle()
                name = f"{sessions} session{'s' if sessions > 1 else ''}"
                self.table.add(f"{name}: messages a second", count / seconds)
                self.table.add(f"{name}: DATA reply p50, ms", 1000 * took[len(took) // 2])
                self.table.add(f"{name}: DATA reply p99, ms", 1000 * took[len(took) * 99 // 100])
                self.table.add(f"{name}: CPU ms a delivered message", 1000 * spent / count, most=cpu)
                if device:
                    device.sync()
                    end = device.counts()
                    self.table.add(f"{name}: bytes written / message bytes", (end[0] - start[0]) / octets, most=ratio)
                    self.table.add(f"{name}: device flushes a message", (end[1] - start[1]) / count, most=flushes)
                    self.table.add(f"{name}: disk space / message bytes", (device.used() - used) / octets, most=0.72)
                else:
                    print("  (storage writes and flushes are counted as root only)")
            if postfix.installed():
                beside = postfix.delivered(self.work, messages, sessions)
                worst, its_worst = took[len(took) * 99 // 100], beside[len(beside) * 99 // 100]
                self.table.add(f"{name}: DATA reply p99 of Postfix, ms", 1000 * its_worst)
                self.table.add(f"{name}: DATA reply p99 / Postfix's", worst / its_worst, most=DATA_P99.get(sessions))

    def imap(self) -> None:
        count = 2000 if self.quick else 20000
        with self.server() as (server, process, _):
            imap = Imap(server.ports["imap"], "u1@bench.test")
            imap.append_many("INBOX", small(count, "u1@bench.test"))
            imap.ask("SELECT INBOX")
            scale = count / 20000

            def cpu_ms(words: str) -> float:
                before = process.cpu_s()
                imap.ask(words, keep=False)
                return 1000 * (process.cpu_s() - before)

            overview = "FETCH 1:* (FLAGS UID INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822.SIZE)"
            cpu_ms(overview)
            self.table.add(f"SELECT of {count}, warm, CPU ms", cpu_ms("SELECT INBOX"), most=2)
            self.table.add(f"overview FETCH of {count}, warm, CPU ms", cpu_ms(overview), most=100 * scale)
            self.table.add(f"FETCH 1:* (UID FLAGS) of {count}, CPU ms", cpu_ms("FETCH 1:* (UID FLAGS)"), most=25 * scale)
            imap.close()

    def pop3(self) -> None:
        count = 500 if self.quick else 2000
        with self.server() as (server, process, _):
            imap = Imap(server.ports["imap"], "u2@bench.test")
            imap.append_many("INBOX", small(count, "u2@bench.test", seed=5))
            imap.close()
            pop = Pop3(server.ports["pop3"], "u2@bench.test")
            before = process.cpu_s()
            for number in range(1, count + 1):
                pop.retrieve(number)
            self.table.add(f"POP3 RETR of {count}, CPU ms", 1000 * (process.cpu_s() - before), most=250 * count / 2000)
            pop.close()

    def idle(self) -> None:
        with self.server(on_device=True) as (server, process, device):
            sessions = []
            for n in range(10):
                imap = Imap(server.ports["imap"], f"{ACCOUNTS[n % 5]}@bench.test")
                imap.ask("SELECT INBOX")
                imap.idle()
                sessions.append(imap)
            time.sleep(8)  # what signing in wrote lazily is on its way
            if device:
                device.sync()
            start, begun, spent = device.counts()[0] if device else process.written(), time.monotonic(), process.cpu_s()
            print(f"  ... {self.idle_minutes:g} idle minutes", flush=True)
            time.sleep(self.idle_minutes * 60)
            if device:
                device.sync()
            end = device.counts()[0] if device else process.written()
            self.table.add(f"octets written in {self.idle_minutes:g} idle minutes with 10 idle IMAP sessions", end - start, most=0)
            self.table.add("CPU while idle, % of a core", 100 * (process.cpu_s() - spent) / (time.monotonic() - begun))
            for imap in sessions:
                imap.close()

    def large(self) -> None:
        """100 MB through SMTP, APPEND, FETCH and RETR in constant memory; 64 KiB pieces at twice the CPU of one FETCH at most."""
        line = os.urandom(57).hex()[:76].encode() + b"\r\n"
        chunk = line * 840
        octets = 100 * 2**20
        head = b"From: a@b.example\r\nSubject: large\r\nContent-Type: application/octet-stream\r\n\r\n"
        with self.server() as (server, process, _):
            process.settle()
            imap = Imap(server.ports["imap"], "u1@bench.test")
            imap.ask("SELECT INBOX")
            Smtp(server.ports["smtp"]).send("u1@bench.test", head + chunk * 100)
            process.settle()
            process.forget_peak()
            base = process.peak_kb()
            smtp = Smtp(server.ports["smtp"])
            for words, code in ((b"MAIL FROM:<a@b.example>", b"250"), (b"RCPT TO:<u1@bench.test>", b"250"), (b"DATA", b"354")):
                smtp.ask(words, code)
            smtp.sock.sendall(head)
            for _ in range(octets // len(chunk)):
                smtp.sock.sendall(chunk)
            smtp.ask(b".", b"250")
            after_smtp = process.peak_kb()
            imap.append_large("INBOX", octets, chunk)
            after_append = process.peak_kb()
            before = process.cpu_s()
            imap.ask("FETCH 2 BODY.PEEK[]", keep=False)
            whole_s = process.cpu_s() - before
            after_fetch = process.peak_kb()
            before = process.cpu_s()
            for at in range(0, octets, 65536):
                imap.ask(f"FETCH 2 BODY.PEEK[]<{at}.65536>", keep=False)
            chunks_s = process.cpu_s() - before
            imap.close()
            pop = Pop3(server.ports["pop3"], "u1@bench.test")
            pop.retrieve(2)
            peak = process.peak_kb()
            self.table.add("memory growth, 100 MB by SMTP, MB", (after_smtp - base) / MB)
            self.table.add("memory growth, and by APPEND, MB", (after_append - base) / MB)
            self.table.add("memory growth, and by FETCH, MB", (after_fetch - base) / MB)
            self.table.add("peak memory growth, 100 MB by SMTP, APPEND, FETCH and RETR, MB", (peak - base) / MB, most=4)
            self.table.add("CPU of 64 KiB pieces / CPU of one FETCH of 100 MB", chunks_s / whole_s, most=2)
            pop.close()

    def queue(self) -> None:
        sending.messages(self.table, self.work, 200 if self.quick else 1000)
        sending.waiting(self.table, self.work)

    def panel(self) -> None:
        panel.publish(self.table)
        panel.console(self.table, self.work)
        panel.panel(self.table, self.work, 200 if self.quick else 1000, 10 if self.quick else 60)
        panel.deaf(self.table, self.work, 2000 if self.quick else 10_000)

    def web(self) -> None:
        web.memory(self.table, self.work / "web")
        web.writes(self.table, self.work)
        web.hostile(self.table, self.work / "web")

    def webmail(self) -> None:
        if shutil.which("chromium") is None:
            print("  (chromium is not here)")
            return
        webmail.run(self.table, self.work, 2000 if self.quick else 20_000, 3 if self.quick else 5)
        webmail.typing(self.table, self.work, 3 if self.quick else 6)

    def jmap(self) -> None:
        jmap.run(self.table, self.work / "jmap", 20_000 if self.quick else 100_000)

    def growth(self) -> None:
        self._run("tests.bench.growth", *(("--most", "100000", "--sessions", "100") if self.quick else ()))

    def beside(self) -> None:
        self._run("tests.bench.beside", *(("--messages", "20000", "--rounds", "1") if self.quick else ()))

    def _run(self, module: str, *words: str) -> None:
        """A table of its own."""
        subprocess.run([sys.executable, "-m", module, *words], check=False)

    def harness(self) -> None:
        """The shared harness, when it is here and we are root: the peers' columns and the slow storage."""
        if not (HARNESS / "bench.py").exists() or os.geteuid() != 0:
            print("  (the shared harness is not here, or this is not root: no peers, no slow storage)")
            return
        servers = [str(Path(__file__).with_name("pillarbox.json"))]
        if all(shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("postfix", "dovecot")):
            servers.insert(0, "postfix-dovecot-maildir")
        outs = []
        for server in servers:
            out = self.work / f"{Path(server).stem}.json"
            words = [sys.executable, str(HARNESS / "bench.py"), server, "--out", str(out), "--work", str(self.work)]
            done = subprocess.run(
                [*words, *(["--quick"] if self.quick else [])], env={**os.environ, "BENCH_PYTHON": sys.executable}, check=False
            )
            if done.returncode == 0:
                outs.append(str(out))
        subprocess.run([sys.executable, str(HARNESS / "report.py"), *outs], check=False)


PARTS = (
    "start", "memory", "delivery", "imap", "pop3", "large", "queue", "panel", "web", "webmail", "jmap", "growth",
    "beside", "idle", "harness",
)  # fmt: skip


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="fewer messages, shorter waits")
    words.add_argument("--parts", default=",".join(PARTS))
    words.add_argument("--idle-minutes", type=float, default=10)
    options = words.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pillarbox-bench-", dir=base) as work:
        bench = Bench(Path(work), options.quick, min(options.idle_minutes, 1) if options.quick else options.idle_minutes)
        print(f"{pillarbox('--version').stdout.strip()} on Python {sys.version.split()[0]}\n")
        for part in options.parts.split(","):
            print(part, flush=True)
            getattr(bench, part)()
    missed = [row for row in bench.table.rows if row.good is False]
    kept = sum(row.good is True for row in bench.table.rows)
    print(
        f"\n{kept} bars kept, {len(missed)} missed" + "".join(f"\n  missed: {row.measure}: {row.figure:.3f}, {row.bar}" for row in missed)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
