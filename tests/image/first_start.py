"""Steps about first starts: what a settings file, its mistakes, Raspberry Pi Imager's file and none at all lead to, and the setup code."""

import re
import time

from appliance.system.box_settings import USED
from tests.support.https_client import HttpsClient

from .bench import Bench
from .card import Card
from .machine import Machine
from .mail import PASSWORD, PATIENCE_S, eventually, send, subjects_by_imap, trusting

NEW = "grace@home.example"
"""Whom the setup code makes."""
CODE = re.compile(r"Setup code: *([a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4})")
PAUSE_S = 1.5
"""After a wrong code the console waits for a second."""
SETUP_FILE, ERRORS_FILE = "pillarbox-setup.txt", "pillarbox-errors.txt"
COMMAND = "pillarbox {} --data /srv/pillarbox 2>&1"
LATER = """[box]
name = "letterbox"
address = "10.0.2.15/24"
gateway = "10.0.2.2"
[server]
domain = "home.example"
time_zone = "Asia/Tokyo"
"""
"""What QEMU's network forwards ports to, as a fixed address."""
IMAGER = """config_version = 1
[system]
hostname = "postbox"
[user]
name = "pi"
password = "$5$somesalt$hashed"
password_encrypted = true
[ssh]
enabled = true
[wlan]
ssid = "Our network"
password = "its password"
country = "DE"
[locale]
timezone = "Europe/Berlin"
keymap = "de"
"""


def settings_with_mistakes(bench: Bench) -> str:
    """A mistake is told beside the file; the box starts all the same. The corrected file is read at the next start."""
    card = bench.card('[server]\ndomian = "home.example"\n')
    with bench.start(card) as machine:
        bench.greeting(machine)
        told = card.read_settings(ERRORS_FILE)
        assert "domian" in told, f"{ERRORS_FILE} says {told!r}"
        bench.switch_off(machine)
    card.write_settings("pillarbox.toml", LATER)
    with bench.start(card) as machine:
        bench.greeting(machine)
        assert machine.shell("cat /proc/sys/kernel/hostname; date +%Z").split() == ["letterbox", "JST"]
        assert machine.shell("ls /run/systemd/netif/leases") == "", "the address is not fixed, but leased by DHCP"
        assert card.read_settings(ERRORS_FILE) == "", "the errors are still told"
    return f"told in {ERRORS_FILE}; corrected: name, address and time zone of the next start"


def settings_absent(bench: Bench) -> str:
    """Without any settings: the name pillarbox, and a setup code, with which the serial console makes the first account."""
    card = bench.card("")
    with bench.start(card) as machine:
        bench.greeting(machine)
        assert machine.shell("cat /proc/sys/kernel/hostname") == "pillarbox"
        code = wait_code(card)
        assert code in machine.shell(COMMAND.format("setup-code"))
        eventually(lambda: code in machine.shell("cat /dev/vcs1"), "tty1 does not show the setup code")
        follow_console(
            machine,
            (f"setup code: {code}", "4a"),
            ("Setup code:", "aaaa-aaaa-aaaa\r"),
            ("not the setup code", "a"),
            ("Setup code:", f"{code}\r"),
            ("Address of the new account:", f"{NEW}\r"),
            ("Password (empty", f"{PASSWORD}\r"),
            (NEW, "q"),
        )
        assert_used_up(machine, card)
    return f"the code of {SETUP_FILE}, tty1 and the serial console made an account there, and is dead"


def settings_of_imager(bench: Bench) -> str:
    """rpi-preseed.toml of Raspberry Pi Imager: its name, zone and Wi-Fi are used, the rest is told; the browser makes the first account."""
    card = bench.card("")
    card.write_settings("rpi-preseed.toml", IMAGER)
    card.write_settings("firstrun.sh", "#!/bin/sh\nexit 1\n")
    with bench.start(card) as machine:
        bench.greeting(machine)
        assert machine.shell("cat /proc/sys/kernel/hostname; date +%Z").split() == ["postbox", "CET"]
        wifi = machine.shell("cat /etc/wpa_supplicant/pillarbox.conf")
        assert "country=DE" in wifi and "its password" in wifi, wifi
        told = card.read_settings(ERRORS_FILE)
        assert all(words in told for words in ("firstrun.sh", "stored there as a hash", "SSH", "keyboard")), told
        kept = card.read_settings("rpi-preseed.toml")
        assert "its password" not in kept and "hashed" not in kept and kept.count(f'"{USED}"') == 2, kept
        code = wait_code(card)
        set_up_in_browser(machine, code)
        assert_used_up(machine, card)
    return "name, zone and Wi-Fi taken on, the rest told; the code made an account in the browser, and is dead"


def wait_code(card: Card) -> str:
    """The setup code on the boot partition."""
    eventually(lambda: CODE.search(card.read_settings(SETUP_FILE)) is not None, f"{SETUP_FILE} has no code")
    found = CODE.search(card.read_settings(SETUP_FILE))
    assert found
    return found[1]


def follow_console(machine: Machine, *rows: tuple[str, str]) -> None:
    """(what the serial console shows next, keys to type then)."""
    seen = 0
    for words, keys in rows:
        seen = machine.wait_console(words, PATIENCE_S, seen)
        time.sleep(PAUSE_S)
        machine.type(keys)


def set_up_in_browser(machine: Machine, code: str) -> None:
    """The questions of the setup, as a browser's forms answer them."""
    with HttpsClient(machine.ports["https"], trusting()) as browser:
        status, fields, _ = browser.ask("GET", "/", accept="text/html")
        assert (status, fields["location"]) == (303, "/setup"), (status, fields)
        browser.ask("GET", "/setup", accept="text/html")
        assert browser.post("/setup", code="aaaa-aaaa-aaaa")[0] == 422
        local, _, domain = NEW.partition("@")
        for path, answers in (
            ("/setup", {"code": code.upper()}),
            ("/setup/language", {"language": "en"}),
            ("/setup/address", {"name": "Grace", "local": local, "domain": domain}),
            ("/setup/password", {"new": PASSWORD, "repeated": PASSWORD}),
        ):
            status, fields, body = browser.post(path, **answers)
            assert status == 303, (path, status, body[-500:])
            browser.ask("GET", fields["location"], accept="text/html")
        assert fields["location"] == "/setup/sending"


def assert_used_up(machine: Machine, card: Card) -> None:
    """The account reads its mail; no code is shown, asked for or taken any more."""
    eventually(lambda: card.read_settings(SETUP_FILE) == "", f"{SETUP_FILE} is still there")
    send(machine, "first", NEW)
    eventually(lambda: "first" in subjects_by_imap(machine, NEW), "the new account has no mail")
    assert "no setup code any more" in machine.shell(COMMAND.format("setup-code"))
    with HttpsClient(machine.ports["https"], trusting()) as browser:
        status, fields, _ = browser.ask("GET", "/setup", accept="text/html")
        assert (status, fields["location"]) == (303, "/sign-in"), (status, fields)
