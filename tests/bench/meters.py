"""The cost of a process: CPU, memory, octets and flushes at the block device, with nothing but the kernel's own counters."""

import os
import re
import subprocess
import time
from pathlib import Path


class Process:
    """CPU seconds and memory of one process, all threads and finished children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._threads: dict[str, int] = {}

    def cpu_s(self) -> float:
        """Run time of all threads, in nanosecond steps; a thread that has ended counts as it was last seen, so that it never falls."""
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                self._threads[task.name] = int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sum(self._threads.values()) / 1e9

    def tree_cpu_s(self) -> float:
        """Of the process and all it started, those that have ended and been waited for among them (they count in ticks of 10 ms)."""
        total, todo = 0.0, [self.pid]
        while todo:
            pid = todo.pop()
            try:
                total += (self if pid == self.pid else Process(pid)).cpu_s()
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
                for task in Path(f"/proc/{pid}/task").iterdir():
                    todo += map(int, (task / "children").read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    def memory_kb(self) -> dict[str, int]:
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("Pss", "Rss", "Pss_Anon")}  # type: ignore[index]

    def peak_kb(self) -> int:
        found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.M)
        return int(found[1]) if found else 0

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def written(self) -> int:
        """Octets this process made dirty (its own count; the device's may differ)."""
        found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{self.pid}/io").read_text(), re.M)
        return int(found[1]) if found else 0

    def settle(self, limit_s: float = 4) -> None:
        """Wait until it is at rest."""
        last = self.cpu_s()
        for _ in range(int(limit_s * 2)):
            time.sleep(0.5)
            now = self.cpu_s()
            if now - last < 0.003:
                return
            last = now


class LoopDevice:
    """A fresh ext4 file system on a loop device over a file in memory; counts octets and flushes. Needs root."""

    def __init__(self, work: Path, mb: int = 3000) -> None:
        self.image = work / "image"
        self.place = work / "device"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(mb << 20)
        options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", options, str(self.image)], check=True)
        self.loop = subprocess.run(["losetup", "-f", "--show", str(self.image)], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["mount", "-o", "noatime", self.loop, str(self.place)], check=True)

    def counts(self) -> tuple[int, int]:
        """(octets written, flushes) so far."""
        fields = [int(word) for word in Path(f"/sys/block/{Path(self.loop).name}/stat").read_text().split()]
        return fields[6] * 512, fields[15] if len(fields) > 15 else -1

    def used(self) -> int:
        about = os.statvfs(self.place)
        return (about.f_blocks - about.f_bfree) * about.f_frsize

    def sync(self) -> None:
        subprocess.run(["sync", "-f", str(self.place)], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.place)], check=False)
        subprocess.run(["losetup", "-d", self.loop], check=False)
        self.image.unlink(missing_ok=True)
