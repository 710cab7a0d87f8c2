"""The box's own root file system (`firmware-config/rootfs`) under a real systemd, as a container. Called by tests/install.sh, as root.

Not what needs a kernel or a board of its own (partitions, drivers, DHCP, Wi-Fi, the clock): the image's tests boot these under QEMU.
Every step is printed with its time; the first that does not hold ends the run with exit status 1 and the container's journal.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.install import LONGEST_S, SHUT_DOWN, Machine, follow, until

TREE = Path(__file__).resolve().parents[1] / "firmware-config"
DATA = "--data /srv/pillarbox"
ADA = "ada@home.example"
PROCESSES = 12
UNITS = (
    "pillarbox", "pillarbox-first-boot", "pillarbox-state", "pillarbox-resolver", "pillarbox-mdns", "nftables", "systemd-networkd",
    "systemd-journald", "pillarbox-power-off.path", "pillarbox-setup-code.path",
    "pillarbox-name-servers.path",
)  # fmt: skip


class Box(Machine):
    """The root with the tree of `firmware-config` over it; boot and data partition are file systems in memory."""

    def __init__(self, root: Path) -> None:
        self.boot_partition, self.data = root.parent / "boot", root.parent / "data"
        super().__init__(root, (f"--bind={self.boot_partition}:/boot/settings", f"--bind={self.data}:/data"))

    def make(self) -> None:
        subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{TREE}/rootfs/.", str(self.root)], check=True)
        fstab = self.root / "etc/fstab"
        fstab.write_text("".join(line for line in fstab.read_text().splitlines(keepends=True) if not line.startswith("LABEL=")))
        for place in (self.boot_partition, self.data):
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(place)], check=True)
        (self.boot_partition / "pillarbox.toml").write_bytes((TREE / "boot/settings/pillarbox.toml").read_bytes())
        chroot = ["chroot", str(self.root)]
        wheel = next(f"/root/{one.name}" for one in (self.root / "root").glob("pillarbox-*.whl"))
        subprocess.run([*chroot, "/opt/pillarbox/bin/pip", "-q", "install", "--no-index", "--no-deps", wheel], check=True)
        (self.root / "usr/local/bin/pillarbox").symlink_to("/opt/pillarbox/bin/pillarbox")
        subprocess.run(["systemd-sysusers", f"--root={self.root}"], check=True)
        subprocess.run(["systemctl", f"--root={self.root}", "preset-all"], check=True, capture_output=True)

    def unmake(self) -> None:
        for place in (self.boot_partition, self.data):
            subprocess.run(["umount", "-l", str(place)], check=False)

    def write(self, text: str) -> None:
        """Put a settings file on the boot partition, as somebody with the card in another computer does."""
        subprocess.run(["mount", "-o", "remount,rw", str(self.boot_partition)], check=True)
        (self.boot_partition / "pillarbox.toml").write_text(text)

    def setup_file(self) -> str:
        place = self.boot_partition / "pillarbox-setup.txt"
        found = re.search(r"Setup code: (\S+)", place.read_text()) if place.exists() else None
        return found[1] if found else ""

    def name(self) -> str:
        """As the file says: a container may not set its name itself."""
        return self.run("cat /etc/hostname").strip()

    def restart(self) -> None:
        """Shut down in order and boot again; up when the first account or the setup code has been seen to."""
        self.reboot()
        self.wait_for_setup()

    def wait_for_setup(self) -> None:
        unit = "pillarbox-setup-code"
        until("the server", lambda: self.value("ActiveState") == "active")
        until(unit, lambda: self.value("ExecMainExitTimestampMonotonic", unit) not in ("", "0"))
        until(unit, lambda: self.value("ActiveState", unit) == "inactive")
        assert self.value("Result", unit) == "success" and self.value("ExecMainStatus", unit) == "0"


def every_unit_works(box: Box) -> None:
    failed = box.run("systemctl --failed --no-legend --plain", check=False).strip()
    assert not failed, failed
    for unit in UNITS:
        assert box.value("ActiveState", unit if "." in unit else f"{unit}.service") == "active", unit
    loaded = box.run("systemctl list-units --all --no-legend --plain 'systemd-logind*' 'getty*' 'dbus*' 'avahi*' 'systemd-resolved*'")
    assert " running" not in loaded, loaded


def shows_the_setup_code(box: Box) -> None:
    box.wait_for_setup()
    code = box.setup_file()
    assert code and code in box.run(f"pillarbox setup-code {DATA}"), "the file has the code that works"
    assert box.name() == "pillarbox" and "*:993" in (box.root / "etc/pillarbox.toml").read_text()
    assert "Uid:\t0" not in box.run(f"cat /proc/{box.value('MainPID')}/status")


def few_processes_and_little_memory(box: Box) -> None:
    """The container shares the kernel, so memory is the sum of what each process has of its own and its part of what is shared."""
    rows = box.run("ps -eo pid=,args=").splitlines()
    own = [row.split(None, 1) for row in rows if not re.search(r"nsenter|ps -eo|sh -c|env -i", row)]
    total = 0
    for pid, name in own:
        pss = re.search(r"(?m)^Pss:\s+(\d+)", box.run(f"cat /proc/{pid}/smaps_rollup", check=False))
        total += int(pss[1]) if pss else 0
        print(f"        {int(pss[1]) / 1024 if pss else 0:6.1f} MB  {name[:90]}")
    print(f"        {total / 1024:6.1f} MB in {len(own)} processes")
    assert len(own) <= PROCESSES, own


def resolver_and_firewall(box: Box) -> None:
    question = "abcd01000001000000000000076578616d706c6503636f6d0000010001"  # example.com, A (RFC 1035 §4.1)
    asked = "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5);"
    asked += f"s.sendto(bytes.fromhex('{question}'),('127.0.0.1',53));print(s.recv(512)[:4].hex())"
    assert box.run(f'python3 -c "{asked}"').startswith("abcd"), "an answer, though no name server is known"
    rules = box.run("nft list ruleset")
    assert "policy drop" in rules and "993" in rules and "imaps" not in box.run("ss -Hltn")
    assert "enable-dbus=no" in (box.root / "etc/avahi/avahi-daemon.conf").read_text()


def keeps_the_code_over_a_reboot(box: Box) -> None:
    code = box.setup_file()
    box.restart()
    assert box.setup_file() == code and code in box.run(f"pillarbox setup-code {DATA}")


def tells_a_mistake_and_goes_on(box: Box) -> None:
    box.write("[box]\nname = 'attic'\nwifi_name = 'Ours'\nwifi_country = 'Germany'\n")
    box.restart()
    errors = (box.boot_partition / "pillarbox-errors.txt").read_text()
    assert "line 4" in errors and box.name() == "pillarbox"
    until("the condition", lambda: "line 4" in box.run(f"pillarbox status {DATA}"))
    box.restart()
    assert "line 4" in box.run("journalctl --no-pager -b -u pillarbox-first-boot"), "said at every start"


def takes_the_settings_on_and_the_passwords_out(box: Box) -> None:
    text = f"[box]\nname = 'attic'\naccount = '{ADA}'\npassword = 'four words in rows'\nwifi_name = 'Ours'\nwifi_country = 'DE'\n"
    box.write(text + "wifi_password = 'long enough'\n[server]\ntime_zone = 'Europe/Berlin'\n")
    box.restart()
    until("the first account", lambda: ADA in box.run(f"pillarbox account list {DATA}"))
    until("the setup code's end", lambda: not (box.boot_partition / "pillarbox-setup.txt").exists())
    after = (box.boot_partition / "pillarbox.toml").read_text()
    assert after.count("(used)") == 2 and "four words" not in after, after
    assert not (box.boot_partition / "pillarbox-errors.txt").exists()
    assert box.name() == "attic" and "CET" in box.run("date")
    until("the password's end", lambda: not list((box.data / "system/settings").glob("first-*")))
    folders = box.run(f"curl -sSk imaps://localhost/ -u '{ADA}:four words in rows'")
    assert "INBOX" in folders, folders
    modes = box.run("stat -c '%a %G' /etc/pillarbox.toml /etc/wpa_supplicant/pillarbox.conf").split()
    assert modes == ["640", "pillarbox", "600", "root"], modes


def boots_without_reading_again(box: Box) -> None:
    stamp = (box.data / "system/settings/etc").stat().st_mtime_ns
    box.restart()
    assert (box.data / "system/settings/etc").stat().st_mtime_ns == stamp and box.name() == "attic"
    assert ADA in box.run(f"pillarbox account list {DATA}")


def switches_itself_off(box: Box) -> None:
    """As the button does: the server shuts down, then asks for power off, and the end is an orderly one."""
    print("        " + box.run(f'runuser -u pillarbox -- /opt/pillarbox/bin/python -P -c "{SHUT_DOWN}"').strip())
    until("power off", lambda: box.ended(), LONGEST_S)


STEPS: tuple[Callable[[Box], None], ...] = (
    every_unit_works, shows_the_setup_code, few_processes_and_little_memory, resolver_and_firewall, keeps_the_code_over_a_reboot,
    tells_a_mistake_and_goes_on, takes_the_settings_on_and_the_passwords_out, boots_without_reading_again, switches_itself_off,
)  # fmt: skip


def main(root: Path) -> int:
    box = Box(root)
    try:
        box.make()
        return follow("box", box, STEPS)
    finally:
        box.power_off()
        box.unmake()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
