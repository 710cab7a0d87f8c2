"""The cost of the web in the running server: memory before and after the first pages, storage writes by looking, CPU of a page, event
streams, and whether slow clients and a flood are felt by SMTP and IMAP."""

import gzip
import http.client
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.support.server import PASSWORD, Pillarbox, new_data

from .clients import Imap, Smtp, connect, tls
from .meters import LoopDevice, Process

if TYPE_CHECKING:
    from .__main__ import Table

MB = 1024.0
PAGES = ("/admin/", "/admin/accounts", "/own/", "/trust")
OTHERS = ("smtp", "imap", "imaps")
SLOW, FLOODS, STREAMS, LOOKS = 100, 4, 200, 1000
ROUNDS, TIMES = 25, 25
"""Of the latencies: pairs with and without, and round trips of each kind in one. Short ones, since other load of the machine changes."""
BURST_S, SETTLE_S = 8.0, 1.5
"""Until the burst that a source has is used up: all of it, and what came back in a pause."""
MESSAGE = b"From: a@example.net\r\nSubject: hello\r\n\r\n" + 20 * b"A line of a short message that a family sends.\r\n"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Browser:
    """One keep-alive connection with cookies."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPSConnection("localhost", port, context=tls(), timeout=60)
        self.cookies: dict[str, str] = {}
        self.octets = 0

    def ask(self, method: str, path: str, body: str | None = None, **fields: str) -> tuple[int, bytes]:
        cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        self.http.request(method, path, body, {"accept-encoding": "gzip", **(FORM if body else {}), **cookie, **fields})
        answer = self.http.getresponse()
        for name, value in answer.getheaders():
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        octets = answer.read()
        self.octets += len(octets) + sum(len(name) + len(value) + 4 for name, value in answer.getheaders())
        return answer.status, gzip.decompress(octets) if answer.getheader("content-encoding") == "gzip" else octets

    def sign_in(self) -> None:
        page = self.ask("GET", "/sign-in")[1].decode()
        token = page.split('name="token" value="')[1].split('"')[0]
        assert self.ask("POST", "/sign-in", urlencode({"token": token, "name": "u1@bench.test", "password": PASSWORD}))[0] == 303


@contextmanager
def served(place: Path, *protocols: str, log: Path | None = None) -> Iterator[tuple[Pillarbox, Process]]:
    """A server with two accounts; limits of connections out of the way. `log`: beside the storage whose writes are counted."""
    place.mkdir(parents=True)
    settings = place / "settings.toml"
    settings.write_text("[limits]\nconnections_per_address = 1000\n")
    data = new_data(place / "data", "u1", "u2", domain="bench.test")
    server = Pillarbox(data, "--settings", str(settings), protocols=protocols, domain="bench.test", log=log or place / "log")
    with server:
        process = Process(server.pid)
        process.settle()
        yield server, process


def pss_mb(process: Process) -> float:
    process.settle()
    return process.memory_kb()["Pss"] / MB


def memory(table: "Table", work: Path) -> None:
    with served(work / "without", *OTHERS) as (_, process):
        without = pss_mb(process)
    with served(work / "with", *OTHERS, "http", "https") as (server, process):
        before = pss_mb(process)
        table.add("web: PSS before the first request, MB more", before - without, most=0.5)
        browser = Browser(server.ports["https"])
        browser.sign_in()
        for path in PAGES:
            assert browser.ask("GET", path)[0] == 200, path
        first = pss_mb(process)
        table.add("web: PSS after sign-in, overview, accounts and own page, MB more", first - before, most=8)
        for number in range(LOOKS):
            browser.ask("GET", PAGES[number % len(PAGES)])
        table.add(f"web: PSS after {LOOKS} pages, MB more than after the first", pss_mb(process) - first, most=1)
        _cpu(table, browser, process)
        _streams(table, server, browser, process)


def _cpu(table: "Table", browser: Browser, process: Process) -> None:
    """CPU and octets of the overview, and of a static file that the browser has."""
    browser.octets = 0
    page = browser.ask("GET", "/admin/")[1].decode()
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    for file in dict.fromkeys(files):
        browser.ask("GET", file)
    table.add("web: overview with all its files, kB on the wire", browser.octets / 1000, most=20)
    times = 60  # below the burst of one source
    time.sleep(8)
    before = process.cpu_s()
    for _ in range(times):
        browser.ask("GET", "/admin/")
    table.add("web: overview, CPU ms", 1000 * (process.cpu_s() - before) / times, most=15)
    time.sleep(8)
    browser.ask("GET", files[0])
    tag = f'"{files[0].split(".")[-2]}"'
    before = process.cpu_s()
    for _ in range(times):
        assert browser.ask("GET", files[0], **{"if-none-match": tag})[0] == 304
    table.add("web: 304 of a static file, CPU ms", 1000 * (process.cpu_s() - before) / times, most=0.5)


def _streams(table: "Table", server: Pillarbox, browser: Browser, process: Process) -> None:
    """Event streams over TLS, each on a connection of its own."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    request = f"GET /admin/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode()
    context, open_ones = tls(), []

    def more(count: int) -> None:
        for _ in range(count):
            sock = connect(server.ports["https"], context)
            sock.sendall(request)
            assert sock.recv(16).startswith(b"HTTP/1.1 200")
            open_ones.append(sock)

    more(20)
    few = pss_mb(process)
    more(STREAMS - 20)
    table.add("web: KB for each of 200 event streams over TLS", 1024 * (pss_mb(process) - few) / (STREAMS - 20), most=45)
    for sock in open_ones:
        sock.close()


def writes(table: "Table", work: Path) -> None:
    """Octets that reach the device while pages are looked at."""
    if os.geteuid() != 0:
        print("  (this is not root: no storage writes)")
        return
    place = work / "writes"
    place.mkdir()
    device = LoopDevice(place)
    try:
        with served(device.place / "run", *OTHERS, "http", "https", log=place / "log") as (server, process):
            browser = Browser(server.ports["https"])
            browser.sign_in()
            time.sleep(8)  # what signing in wrote lazily is on its way
            process.settle()
            device.sync()
            start = device.counts()[0]
            for number in range(100):
                browser.ask("GET", PAGES[number % len(PAGES)])
            time.sleep(8)
            device.sync()
            table.add("web: octets written by looking at 100 pages", device.counts()[0] - start, most=0)
    finally:
        device.close()


def hostile(table: "Table", work: Path) -> None:
    """SMTP and IMAP while TLS clients send their heads slowly and one address asks as fast as it can; with and without in turn."""
    with served(work / "hostile", "smtp", "submission", "imap", "http", "https") as (server, process):
        Browser(server.ports["https"]).sign_in()
        smtp, imap = Smtp(server.ports["smtp"]), Imap(server.ports["imap"], "u1@bench.test")
        smtp.send("u1@bench.test", MESSAGE)
        imap.ask("SELECT INBOX")
        asked: dict[str, Callable[[], object]] = {
            "SMTP, a message": lambda: smtp.send("u2@bench.test", MESSAGE),
            "IMAP, NOOP": lambda: imap.ask("NOOP"),
            "IMAP, FETCH": lambda: imap.ask("FETCH 1 (FLAGS BODY.PEEK[])"),
        }
        pairs: list[dict[str, tuple[list[float], list[float]]]] = []
        with _storm(server.ports["https"]) as switch:
            for _round in range(ROUNDS):
                switch(b"off\n")
                calm = {name: _latencies_ms(ask) for name, ask in asked.items()}
                switch(b"on\n")
                pairs.append({name: (calm[name], _latencies_ms(ask)) for name, ask in asked.items()})
            before = process.cpu_s()
            time.sleep(BURST_S)
            busy = 100 * (process.cpu_s() - before) / BURST_S
        smtp.quit()
        imap.close()
    table.add("web: CPU of the server under slow clients and a flood, % of a core", busy)
    for name in asked:
        for word, of in (("median", statistics.median), ("p95", lambda took: statistics.quantiles(took, n=20)[-1])):
            without, during = (statistics.median(of(pair[name][which]) for pair in pairs) for which in (0, 1))
            ratio = statistics.median(of(pair[name][1]) / of(pair[name][0]) for pair in pairs)
            print(f"  ({name}, {word}: {without:.2f} ms without, {during:.2f} ms under {SLOW} slow clients and a flood)")
            table.add(f"web: {name}, {word} under slow clients and a flood, times", ratio, most=1.2)


def _latencies_ms(ask: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - begun))
        time.sleep(0.002)
    return took


@contextmanager
def _storm(port: int) -> Iterator[Callable[[bytes], None]]:
    """The hostile clients, in a process of their own so that they share no interpreter with what is measured; what switches them."""
    words = [sys.executable, "-c", f"from tests.bench.web import storm; storm({port})"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        into, out = process.stdin, process.stdout

        def switch(word: bytes) -> None:
            into.write(word)
            into.flush()
            assert out.readline() == word

        assert out.readline() == b"ready\n"
        yield switch
        into.close()


def storm(port: int) -> None:
    """SLOW connections that send an octet a second, and FLOODS that ask without a pause, while standard input says "on"; until it ends."""
    context, blowing, over = tls(), threading.Event(), threading.Event()
    slow = [connect(port, context) for _ in range(SLOW)]
    threads = [threading.Thread(target=_trickle, args=(slow, port, context, blowing, over), daemon=True)]
    threads += [threading.Thread(target=_flood, args=(port, context, blowing, over), daemon=True) for _ in range(FLOODS)]
    blowing.set()
    for thread in threads:
        thread.start()
    time.sleep(BURST_S)
    print("ready", flush=True)
    for line in sys.stdin:
        blowing.set() if line == "on\n" else blowing.clear()
        time.sleep(SETTLE_S)
        print(line, end="", flush=True)
    over.set()


def _trickle(slow: list[socket.socket], port: int, context: ssl.SSLContext, blowing: threading.Event, over: threading.Event) -> None:
    """Spread over the second; whoever is cut off for being slow comes again."""
    while not over.is_set():
        for number, sock in enumerate(slow):
            blowing.wait()
            try:
                sock.sendall(b"G")
            except OSError:
                slow[number] = connect(port, context)
            time.sleep(1 / SLOW)


def _flood(port: int, context: ssl.SSLContext, blowing: threading.Event, over: threading.Event) -> None:
    request = b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sock = connect(port, context)
    while not over.is_set():
        blowing.wait()
        try:
            sock.sendall(request)
            if not sock.recv(65536):
                raise OSError
        except OSError:
            sock = connect(port, context)
