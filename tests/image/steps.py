"""The steps of `make image-test`, each a function of a Bench that returns what it found; a broken promise is an AssertionError.

They are in the order of the table STEPS. Each starts from a fresh card unless it says otherwise.
"""

import contextlib
import random
import re
import smtplib
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.system.box_settings import USED
from image.build import layout

from . import building, first_start, in_browser, speed
from .bench import Bench
from .machine import Machine
from .mail import ACCOUNT, PASSWORD, SETTINGS, certificate, eventually, send, subjects_by_imap, subjects_by_pop, wait_account

IDLE_S, SETTLE_S = 600, 120
LARGEST_MEMORY_KIB = 96 * 1024
LARGEST_MEMORY_AFTER_WEBMAIL_KIB = 112 * 1024
LARGEST_PROCESSES = 12
LARGEST_WRITTEN_OCTETS = 64 * 1024
CUTS = 10
MEMORY = "awk '/^MemTotal/ {t=$2} /^MemAvailable/ {a=$2} END {print t-a}' /proc/meminfo"
PROCESSES = "n=0; for p in /proc/[0-9]*; do [ -n \"$(tr -d '\\0' < $p/cmdline)\" ] && n=$((n+1)); done 2> /dev/null; echo $n"
WRITTEN = "awk '{{print $7 * 512}}' /sys/class/block/vda{}/stat"
SIMULATOR = """modprobe gpio-sim; mount -t configfs configfs /sys/kernel/config; cd /sys/kernel/config/gpio-sim
mkdir -p test/bank; cd test/bank
echo 54 > num_lines; echo pinctrl-bcm2711 > label; cd ..; echo 1 > live; cat dev_name bank/chip_name"""


def mail(bench: Bench, board: str) -> str:
    """Boot, mail in by SMTP, out by IMAPS and POP3S, the same on the serial console, an orderly end."""
    card = bench.card()
    with bench.start(card, board=board) as machine:
        banner = bench.greeting(machine)
        if board == "virt":
            wait_account(machine)
        else:
            eventually(lambda: machine.shows("4", ACCOUNT), "the account of the settings file was not added")
        send(machine, "hello")
        eventually(lambda: subjects_by_imap(machine) == ["hello"], "the message is not in INBOX")
        assert subjects_by_pop(machine) == ["hello"]
        eventually(lambda: machine.shows("1", "by smtp"), "the console does not show the message")
        if board == "raspi3b":  # the firmware of QEMU's model says that every fault there is has happened
            eventually(lambda: machine.shows("h", "power supply is too weak"), "low voltage is not told")
        told = card.read_settings("pillarbox.toml")
        assert f'password = "{USED}"' in told and PASSWORD not in told, f"the password is still in pillarbox.toml: {told!r}"
        if board == "virt":
            bench.switch_off(machine)
            assert card.check_data() == ""
    return f"greeting after {banner:.0f} s"


def panel(bench: Bench) -> str:
    """Pins are named but there is no GPIO chip: mail all the same. With a simulated one an LED is read back; the button, held, ends it."""
    card = bench.card(SETTINGS + '\n[panel]\nleds = ["pwm:18 all"]\nbutton = "3"\n')
    with bench.start(card, options=["-dtb", str(board_tree(bench.work))]) as machine:
        bench.greeting(machine)
        wait_account(machine)
        send(machine, "without a chip")
        told = machine.shell("journalctl -u pillarbox -o cat --no-pager")
        assert re.search(r"GPIO|gpio|pin", told), f"the log does not tell that there is no chip: {told[-800:]}"
        found = machine.shell(SIMULATOR).split()
        machine.shell("udevadm settle; systemctl restart pillarbox.service", 300 * bench.slowness)
        place = f"/sys/devices/platform/{found[0]}/{found[1]}"
        levels = f"for n in $(seq 400); do read level < {place}/sim_gpio18/value; echo $level; done | sort | uniq -c"
        eventually(lambda: len(machine.shell(levels).splitlines()) == 2, "the LED does not change")
        assert subjects_by_imap(machine) == ["without a chip"]
        machine.shell(f"echo pull-down > {place}/sim_gpio3/pull")  # held until the box is off
        machine.wait_end(180 * bench.slowness)
    assert "The plug may be pulled." in machine.console()
    assert card.check_data() == ""
    return "mail without a chip; on gpio-sim the LED is read back, and the button held switches off"


def board_tree(work: Path) -> Path:
    """QEMU's device tree for virt, with the revision of a Pi 4 B: gpiozero reads the board from it."""
    import subprocess

    tree = work / "virt.dtb"
    subprocess.run(
        ["qemu-system-aarch64", "-M", f"virt,dumpdtb={tree}", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"],
        check=True,
        capture_output=True,
    )
    subprocess.run(["fdtput", "-p", "-t", "x", tree, "/system", "linux,revision", "c03111"], check=True)
    return tree


def cuts(bench: Bench) -> str:
    """Ten pulled plugs under load: every acknowledged message is there after each, file systems clean, no question asked."""
    card = bench.card()
    chance = random.Random(13)
    acknowledged: list[str] = []
    for cut in range(CUTS):
        with bench.start(card) as machine:
            bench.greeting(machine)
            if cut == 0:
                wait_account(machine)
            there = set(subjects_by_imap(machine)) if acknowledged else set()
            assert set(acknowledged) <= there, f"after cut {cut} are missing: {sorted(set(acknowledged) - there)}"
            load = Load(machine, f"cut {cut}", acknowledged)
            load.start()
            load.enough.wait(60 * bench.slowness)
            threading.Event().wait(chance.uniform(0, 5))
            machine.pull_plug()
            load.join()
        assert card.check_data() == ""
    with bench.start(card) as machine:
        bench.greeting(machine)
        assert set(acknowledged) <= set(subjects_by_imap(machine))
    return f"{CUTS} cuts, {len(acknowledged)} acknowledged messages, all there"


class Load(threading.Thread):
    """Sends messages one after another until the machine is gone; what got its 250 is in `acknowledged`."""

    def __init__(self, machine: Machine, name: str, acknowledged: list[str]) -> None:
        super().__init__(daemon=True)
        self._machine, self._name_of, self._acknowledged = machine, name, acknowledged
        self.enough = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            for number in range(1000):
                subject = f"{self._name_of}, {number}"
                send(self._machine, subject)
                self._acknowledged.append(subject)
                if number == 3:
                    self.enough.set()


def flash_again(bench: Bench) -> str:
    """A card with mail is flashed again: the mail stays; with the explicit line it goes, once."""
    card = bench.card()
    with bench.start(card) as machine:
        bench.greeting(machine)
        wait_account(machine)
        send(machine, "kept")
        machine.pull_plug()
    card.flash(bench.image)
    card.write_settings("pillarbox.toml", SETTINGS)
    with bench.start(card) as machine:
        bench.greeting(machine)
        told = machine.shell("cat /run/pillarbox-card/data")
        assert told.startswith("adopted"), told
        assert subjects_by_imap(machine) == ["kept"]
        machine.pull_plug()
    card.write_settings("pillarbox.toml", SETTINGS.replace("[box]", "[box]\nerase_all_mail = true"))
    with bench.start(card) as machine:
        bench.greeting(machine)
        told = machine.shell("cat /run/pillarbox-card/data")
        assert told.startswith("erased"), told
        told = card.read_settings("pillarbox.toml")
        assert "# done: erase_all_mail = true" in told, f"the order is still in the file: {told!r}"
    return "mail adopted; erased only by the explicit line"


def damaged_root(bench: Bench) -> str:
    """A root that cannot be mounted ends in a restart (the firmware's chance to take the other slot), not in a hang."""
    card = bench.card()
    with card.path.open("r+b") as file:
        octets = file.read(layout.SLOT_B.start_octets)
        # The superblock of erofs: its magic at the start of a sector, 4 KiB blocks.
        found = (match.start() for match in re.finditer(rb"\xe2\xe1\xf5\xe0.{8}\x0c", octets, re.DOTALL))
        at = next(place for place in found if place % layout.SECTOR_OCTETS == 0)
        file.seek(at)
        file.write(bytes(64))
    with bench.start(card) as machine:
        machine.wait_console("is damaged", 120 * bench.slowness)
        ended = machine.wait_end(120 * bench.slowness)
    return f"restart after {ended:.0f} s"


def full_data(bench: Bench) -> str:
    """A full data partition: the box starts, refuses for now, and takes mail again when there is room."""
    card = bench.card()
    with bench.start(card) as machine:
        bench.greeting(machine)
        wait_account(machine)
        send(machine, "before")
        machine.shell("dd if=/dev/zero of=/data/filler bs=1M 2> /dev/null; sync", 300 * bench.slowness)
        try:
            send(machine, "refused")
            raise AssertionError("a message was taken although nothing could be stored")
        except smtplib.SMTPException as refused:
            code = getattr(refused, "smtp_code", 0) or next(iter(getattr(refused, "recipients", {}).values()), (0,))[0]
            assert 400 <= code < 500, f"refused with {code}"
        assert subjects_by_imap(machine) == ["before"]
        machine.shell("rm /data/filler; sync")
        eventually(lambda: sent(machine, "after"), "no mail is taken although there is room again")
    return f"refused with {code}, taken again afterwards"


def sent(machine: Machine, subject: str) -> bool:
    with contextlib.suppress(OSError, smtplib.SMTPException):
        send(machine, subject)
        return True
    return False


def no_network(bench: Bench) -> str:
    """Without a network the server starts and the console shows it."""
    with bench.start(bench.card(), network=False) as machine:
        machine.wait_shell(400 * bench.slowness)
        eventually(lambda: machine.shell("systemctl is-active pillarbox") == "active", "the server did not start", 400 * bench.slowness)
        eventually(lambda: machine.shows("1", "Overview"), "the console does not show the server")
        return f"active after {machine.age_s():.0f} s"


def two_boxes(bench: Bench) -> str:
    """Two boxes from one image have nothing secret in common. One has no clock: it begins at the image's date, takes mail, and the time
    may come later."""
    found = []
    for clock in ("1970-01-01T00:00:00", "utc"):
        with bench.start(bench.card(), options=["-rtc", f"base={clock}"]) as machine:
            bench.greeting(machine)
            wait_account(machine)
            if clock != "utc":
                mail_without_a_clock(machine)
            found.append({certificate(machine).hex(), *machine.shell(KEYS).splitlines()})
    assert len(found[0]) >= 4, f"too few: {found[0]}"
    assert not found[0] & found[1], f"two boxes share {found[0] & found[1]}"
    return f"mail before and after the clock was set; {len(found[0])} secrets, none in common"


def mail_without_a_clock(machine: Machine) -> None:
    assert int(machine.shell("date +%Y")) >= 2026
    send(machine, "long ago")
    machine.shell("date -s 2031-01-01")
    send(machine, "later")
    assert sorted(subjects_by_imap(machine)) == ["later", "long ago"]


KEYS = """{ cat /etc/machine-id; md5sum < /data/system/systemd/random-seed
for f in $(grep -rl 'PRIVATE KEY' /data/pillarbox); do sed -n '/BEGIN.*PRIVATE/,/END.*PRIVATE/p' $f | md5sum; done; } 2> /dev/null"""


def webmail(bench: Bench) -> str:
    """A person reads, searches, writes and sends in a browser, with five tabs; ten minutes after they are closed the memory is small."""
    with bench.start(bench.card()) as machine:
        bench.greeting(machine)
        wait_account(machine)
        for number in range(60):
            send(machine, f"subject {number}")
        in_browser.read_and_write(machine, bench.slowness)
        eventually(lambda: "From the browser" in subjects_by_imap(machine), "what was written in the browser did not arrive")
        used = int(machine.shell(MEMORY))
        threading.Event().wait(IDLE_S)
        memory = int(machine.shell(MEMORY))
    told = f"{memory / 1024:.1f} MB of memory; {used / 1024:.1f} MB when the tabs were closed"
    assert memory <= LARGEST_MEMORY_AFTER_WEBMAIL_KIB, told
    return told


def idle(bench: Bench) -> str:
    """Ten minutes after settling: memory, processes, octets written."""
    with bench.start(bench.card()) as machine:
        bench.greeting(machine)
        wait_account(machine)
        threading.Event().wait(SETTLE_S)
        slots = [WRITTEN.format(number) for number in (1, 2, 3)]
        before = [int(machine.shell(command)) for command in (*slots, WRITTEN.format(4))]
        threading.Event().wait(IDLE_S)
        after = [int(machine.shell(command)) for command in (*slots, WRITTEN.format(4))]
        memory, processes = int(machine.shell(MEMORY)), int(machine.shell(PROCESSES)) - 2  # the test's own shell, and its child
    written = [new - old for new, old in zip(after, before, strict=True)]
    told = f"{memory / 1024:.1f} MB of memory, {processes} processes, {written[3]} octets to data, {sum(written[:3])} elsewhere"
    assert memory <= LARGEST_MEMORY_KIB, told
    assert processes <= LARGEST_PROCESSES, told
    assert written[3] <= LARGEST_WRITTEN_OCTETS, told
    assert sum(written[:3]) == 0, told
    return told


Step = Callable[[Bench], str]
STEPS: tuple[tuple[str, Step], ...] = (
    ("first and later start, beside the plain distribution", speed.starts),
    ("virt: mail in and out", lambda bench: mail(bench, "virt")),
    ("raspi3b: mail in and out", lambda bench: mail(bench, "raspi3b")),
    ("no GPIO, then LED and button", panel),
    ("ten pulled plugs", cuts),
    ("settings with mistakes, corrected", first_start.settings_with_mistakes),
    ("no settings, setup code on the console", first_start.settings_absent),
    ("settings of Raspberry Pi Imager, setup code in the browser", first_start.settings_of_imager),
    ("flashed again", flash_again),
    ("damaged root", damaged_root),
    ("full data partition", full_data),
    ("no network", no_network),
    ("no clock, no shared keys", two_boxes),
    ("built again, the same octets", building.built_again),
)
BESIDE: tuple[tuple[str, Step], ...] = (("ten idle minutes", idle), ("ten idle minutes after webmail", webmail))
"""Run beside the others, from the second on: what they measure those do not change."""
