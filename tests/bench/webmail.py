"""Webmail in the running server and a real browser: the first view of a large inbox, opening a message, a new message, memory, and
what typing writes to storage.

    python -m tests.bench.webmail [--parts views,typing] [--messages 100000] [--runs 5] [--minutes 6]

Octets written need root.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.server import PASSWORD
from tests.web.browser import Chromium, chromium, sign_in

from .clients import Imap, Smtp
from .growth import wait_for_index
from .meters import LoopDevice, Process
from .web import OTHERS, pss_mb, served

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

    from .__main__ import Table

USER = "u1@bench.test"
SLOWED = 6
"""Times the browser's CPU is slowed."""
USABLE = """() => new Promise(done => {
  const look = () => document.querySelector('[role=option]:not(.waiting)') ? done(performance.now()) : requestAnimationFrame(look)
  look()
})"""


def mail(number: int) -> bytes:
    return (
        f"From: Friend {number % 40} <f{number % 40}@x.example>\r\nTo: <{USER}>\r\nSubject: Message {number}\r\n"
        f"Message-ID: <m{number}@x.example>\r\n\r\nThe text of message {number}.\r\n"
    ).encode()


def begin(browser: Chromium) -> tuple["Page", "CDPSession"]:
    """A page of a browser that has nothing of webmail yet, and its developer tools; Chromium counts a thread's own time in them."""
    page = browser.page()
    page.set_default_timeout(120_000)
    sign_in(page, USER, PASSWORD)
    page.goto("/own/")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    devtools.send("Network.enable")
    devtools.send("Network.clearBrowserCache")
    return page, devtools


def tasks_ms(devtools: "CDPSession") -> float:
    """CPU of the page's main thread so far."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def main_thread(table: "Table", browser: Chromium, runs: int) -> None:
    """What the browser's main thread does for the first view: other load changes it little."""
    spent = []
    for _ in range(runs):
        page, devtools = begin(browser)
        before = tasks_ms(devtools)
        page.goto("/mail/", wait_until="commit")
        page.evaluate(USABLE)
        spent.append(tasks_ms(devtools) - before)
        page.context.close()
    table.add("webmail: first view, CPU ms of the browser's main thread", statistics.median(spent), most=1000 / SLOWED)


def first_view(table: "Table", browser: Chromium, process: Process, runs: int) -> "Page":
    """Each in a browser that has nothing of it yet."""
    took, cpu, octets, requests = [], [], [], []
    page: Any = None
    for _ in range(runs):
        if page is not None:
            page.context.close()
        page, devtools = begin(browser)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
        sizes: list[float] = []
        devtools.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        process.settle()
        before = process.cpu_s()
        page.goto("/mail/", wait_until="commit")
        took.append(page.evaluate(USABLE))
        cpu.append(1000 * (process.cpu_s() - before))
        octets.append(sum(sizes) / 1000)
        requests.append(len(sizes))
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    table.add(f"webmail: first view on a CPU slowed {SLOWED} times, ms", statistics.median(took), most=1000)
    table.add("webmail: first view, CPU ms of the server", statistics.median(cpu), most=60)
    table.add("webmail: first view, kB on the wire", statistics.median(octets), most=60)
    table.add("webmail: first view, requests", statistics.median(requests), most=16)
    return page  # type: ignore[no-any-return]


def opening(table: "Table", page: "Page", process: Process, times: int = 20) -> None:
    """CPU of the server for the conversation and the frame's document; of unread messages the commit that marks them as read besides."""
    page.keyboard.press("o")
    page.frame_locator("article.open iframe").locator("body").wait_for()
    found = {}
    for key in ("j", "k"):  # down the list, and back over those that are read now
        process.settle()
        before = process.cpu_s()
        for _ in range(times):
            page.keyboard.press(key)
            page.wait_for_timeout(700)
            page.frame_locator("article.open iframe").get_by_text("The text of message").wait_for()
        found[key] = 1000 * (process.cpu_s() - before) / times
    table.add("webmail: opening a message, CPU ms of the server", found["k"], most=10)
    table.add("webmail: opening an unread one and marking it as read, CPU ms", found["j"])


def arrival(table: "Table", page: "Page", port: int, runs: int) -> None:
    found = []
    for number in range(runs):
        smtp = Smtp(port)
        smtp.send(USER, f"Subject: Fresh {number}\r\n\r\ntext\r\n".encode())
        begun = time.monotonic()
        page.get_by_role("option").filter(has_text=f"Fresh {number}").first.wait_for()
        found.append(1000 * (time.monotonic() - begun))
        smtp.sock.close()
    table.add("webmail: a new message is visible, ms after its 250", statistics.median(found), most=1000)


def memory(table: "Table", browser: Chromium, process: Process, wait: Callable[[Any], None]) -> None:
    before = pss_mb(process)
    pages = []
    for _ in range(10):
        page = browser.page()
        sign_in(page, USER, PASSWORD)
        page.goto("/mail/")
        wait(page)
        pages.append(page)
    table.add("webmail: PSS with ten more open, MB", pss_mb(process) - before, most=6)
    for page in pages:
        page.context.close()


def typing(table: "Table", work: Path, minutes: int) -> None:
    """Somebody writes a message, stopping to think now and then; of the device, with what the file system writes for it."""
    if os.geteuid() != 0:
        print("  webmail: what typing writes was not measured: that needs root", flush=True)
        return
    place = work / "typing"
    place.mkdir()
    device = LoopDevice(place)
    try:
        with served(device.place / "run", *OTHERS, "http", "https", log=place / "log") as (server, process), chromium(server) as browser:
            page = browser.page()
            page.set_default_timeout(120_000)
            sign_in(page, USER, PASSWORD)
            page.goto("/mail/")
            page.keyboard.press("c")
            text = page.get_by_role("textbox", name="Text", exact=True)
            text.press_sequentially("Dear all, ", delay=100)
            time.sleep(8)  # what signing in wrote lazily is on its way
            process.settle()
            device.sync()
            start, until = device.counts()[0], time.monotonic() + 60 * minutes
            while time.monotonic() < until:
                text.press_sequentially("it was a day on which everybody came to see us, and much was said. ", delay=150)
                time.sleep(6)
            time.sleep(8)
            device.sync()
            table.add(f"webmail: kB written by a minute of typing, of {minutes}", (device.counts()[0] - start) / 1000 / minutes, most=30)
    finally:
        device.close()


def run(table: "Table", work: Path, count: int = 100_000, runs: int = 5) -> None:
    with served(work / "webmail", *OTHERS, "http", "https") as (server, process), chromium(server) as browser:
        imap = Imap(server.ports["imap"], USER)
        imap.append_many("INBOX", (mail(number) for number in range(count)))
        imap.close()
        wait_for_index(server.data, count)  # its CPU would stand in every row
        process.settle(60)
        main_thread(table, browser, runs)
        page = first_view(table, browser, process, runs)
        opening(table, page, process)
        page.goto("/mail/")
        page.evaluate(USABLE)
        arrival(table, page, server.ports["smtp"], runs)
        memory(table, browser, process, lambda one: one.evaluate(USABLE))


def main() -> None:
    from .__main__ import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--parts", default="views,typing")
    parser.add_argument("--minutes", type=int, default=6, help="of typing; a draft is saved every third at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if "views" in options.parts:
            run(Table(), Path(work), options.messages, options.runs)
        if "typing" in options.parts:
            typing(Table(), Path(work), options.minutes)


if __name__ == "__main__":
    main()
