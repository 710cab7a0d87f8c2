"""The cost of a console on a serial port: memory and CPU time, reported; the asserted limits leave room for a shared machine."""

import subprocess
import sys

from tests.support.figures import report_figure
from tests.support.server import ROOT, environment

MEASURE = """
import os, pty, re, time, tty
from pathlib import Path
import trio
import appliance.app.server
from tests.support.console import ServerAnswers, busy_board, locked
from appliance.status import events as e

def pss_kb():
    return int(re.search(r"^Pss:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text(), re.M)[1])

async def main():
    board, answers = busy_board(), ServerAnswers()
    board.snapshot()
    main, side = pty.openpty()
    tty.setraw(main)
    before = pss_kb()
    from appliance.panel.console import run
    from appliance.panel.ports import ConsoleOptions
    from appliance.panel.serial_port import open_serial

    async def read():
        while True:
            await trio.lowlevel.wait_readable(main)
            os.read(main, 65536)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, lambda: open_serial(os.ttyname(side)), board, answers, ConsoleOptions(), locked())
        await trio.lowlevel.wait_readable(main)
        nursery.start_soon(read)
        for key in b"123456789?1":
            os.write(main, bytes((key,)))
            await trio.sleep(0.1)
        memory = pss_kb() - before
        await trio.sleep(1)
        start, cpu = time.monotonic(), time.process_time()
        for n in range(4):
            board.publish(e.MessageAccepted("smtp", "192.0.2.1", f"s{n}@far.example", 1, 1000, 0.1, "K"))
            await trio.sleep(1)
        print(memory, (time.process_time() - cpu) / (time.monotonic() - start))
        nursery.cancel_scope.cancel()

trio.run(main)
"""


def test_memory_and_cpu_of_a_console_on_a_serial_port() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True, env=environment(), cwd=ROOT)
    memory_kb, share = done.stdout.split()
    figure = f"{int(memory_kb) / 1024:.1f} MB PSS of 8 MB; {float(share):.2%} of a core at a message a second, of 0.5 %"
    report_figure("console on a serial port", figure)
    assert int(memory_kb) <= 8 * 1024
    assert float(share) <= 0.05
