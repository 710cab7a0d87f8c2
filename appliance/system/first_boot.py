"""Settings from the boot partition, read when a file there has changed: `pillarbox first-boot`, run as root at boot.

    boot partition                               data partition (`state`)
    pillarbox.toml        -- checked ----------> etc/            files for /etc, copied there at every boot
    rpi-preseed.toml                             secrets.json    passwords that were taken out of pillarbox.toml
    pillarbox-errors.txt  <- what is wrong ----- faults          the same, for the server's status
                                                 first-account, first-password   until the server has added it

Order, so that a power cut at any point is made good by the next start: the secrets are stored, then `etc` is replaced, then
the file on the boot partition is rewritten without its passwords.
How it fails: a file with a fault is told and not used; what an earlier one said stays. Storage that cannot be written is told.
Nothing here raises, and nothing asks.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.config.settings_file import SettingsError
from appliance.config.settings_lines import lines_of
from appliance.mail.errors import SetupError
from appliance.runtime.atomic_file import sync_directory, write_whole

from . import box_settings, preseed
from .box_settings import SECTION, USED, BootSettings, BoxSettings, secrets_of
from .etc_files import etc_files

SETTINGS, ERRORS, OLD_SCRIPT = "pillarbox.toml", "pillarbox-errors.txt", "firstrun.sh"
ZONES = "/usr/share/zoneinfo"
LARGEST_OCTETS = 1 << 20


@dataclass(slots=True)
class Findings:
    """What is to be told: faults, which keep a file from being used, and notes about what is not used."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    again: bool = False
    """Storage could not be written: to be tried again at the next start, though no file has changed."""


def apply(boot: Path, state: Path, consoles: tuple[str, ...]) -> Findings:
    """Read the files of `boot`, store what follows in `state`, take passwords out of `boot`. Never raises OSError or SetupError."""
    findings = Findings()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = _read(boot, state, findings)
        if found is not None:
            _store(found, boot, state, consoles)
    except OSError as error:
        findings.faults.append(f"The settings could not be stored: {error.strerror}.")
        findings.again = True
    _report(boot, state, findings)
    return findings


@dataclass(frozen=True, slots=True)
class _Found:
    boot: BootSettings
    time_zone: str
    secrets: dict[str, str] = field(repr=False)
    rewritten: tuple[tuple[str, str], ...] = field(repr=False)
    """(name, text without passwords) of each file that has some."""
    account: tuple[str, str] = field(repr=False)
    """(address, password) of the first account to add; ("", "") for none."""


def _read(boot: Path, state: Path, findings: Findings) -> _Found | None:
    """None when the settings file has a fault: then all stays as it was."""
    if (boot / OLD_SCRIPT).exists():
        findings.notes.append(f"{OLD_SCRIPT} is not run: an older Raspberry Pi Imager wrote it. Write its settings into {SETTINGS}.")
    values, zone, rewritten = dict[str, Any](), "", dict[str, str]()
    if (raw := _octets(boot / preseed.NAME)) is not None:
        values, zone, told = preseed.read(raw)
        findings.notes += told
        rewritten[preseed.NAME] = preseed.secret_lines(raw)
    raw = _octets(boot / SETTINGS) or b""
    try:
        given = box_settings.parse(raw, SETTINGS)
    except SettingsError as error:
        findings.faults += [str(fault) for fault in error.faults]
        return None
    except SetupError as error:
        findings.faults.append(str(error))
        return None
    kept = _load_secrets(state)
    tree, secrets, account = _with_secrets(given.tree, kept, findings)
    text = raw.decode("utf-8-sig")
    rewritten[SETTINGS] = box_settings.blanked(text, given.tree, lines_of(text))
    if rewritten[SETTINGS] == text:
        rewritten[SETTINGS] = ""
    box = _merged(values, tree.get(SECTION, {}), kept, secrets)
    changed = tuple((name, one) for name, one in rewritten.items() if one)
    return _Found(BootSettings(box, given.server, tree), given.server.server.time_zone or zone, secrets, changed, account)


def _merged(imager: dict[str, Any], table: dict[str, Any], kept: dict[str, str], secrets: dict[str, str]) -> BoxSettings:
    """[box] over what Imager wrote; Wi-Fi and the fixed address are each taken whole from one of the two."""
    if "wifi_name" in table:
        imager = {key: value for key, value in imager.items() if not key.startswith("wifi")}
    if "address" in table:
        imager = {key: value for key, value in imager.items() if key not in preseed.STATIC}
    if imager.get("wifi_name"):
        key = _secret_name((SECTION,), imager)
        password = imager["wifi_password"]
        secrets[key] = kept.get(key, "") if password == USED else password
        imager = {**imager, "wifi_password": secrets[key]}
    return replace(BoxSettings(), **{**imager, **{key: _frozen(value) for key, value in table.items()}})


def _with_secrets(tree: dict[str, Any], kept: dict[str, str], findings: Findings) -> tuple[dict[str, Any], dict[str, str], tuple[str, str]]:
    """The tree with the kept passwords in place of USED; all passwords; the first account where its password is new."""
    tree = json.loads(json.dumps(tree))
    secrets: dict[str, str] = {}
    account = ("", "")
    for where, value in list(secrets_of(tree)):
        table: dict[str, Any] = tree[str(where[0])] if len(where) == 2 else tree[str(where[0])][where[1]]
        key = _secret_name(where, table)
        if where == (SECTION, "password"):
            if value != USED:
                account = (table.get("account", ""), value)
            continue
        if value == USED and key not in kept:
            findings.faults.append(f'"{where[0]}.{where[-1]}" says {USED}, but no password was used before. Write the password there.')
        table[str(where[-1])] = secrets[key] = kept.get(key, "") if value == USED else value
    return tree, secrets, account


def _secret_name(where: tuple[str | int, ...], table: dict[str, Any]) -> str:
    """What a password belongs to, so that it is not given to another network or server."""
    if where[0] == SECTION:
        return f"wifi {table.get('wifi_name', '')}"
    return f"relay {table.get('host', '')} {table.get('user', '')}"


def _load_secrets(state: Path) -> dict[str, str]:
    try:
        found = json.loads((state / "secrets.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _store(found: _Found, boot: Path, state: Path, consoles: tuple[str, ...]) -> None:
    """In the order of the module's docstring. Raises OSError."""
    write_whole(state / "secrets.json", json.dumps(found.secrets, ensure_ascii=False).encode())
    if found.account[0]:
        write_whole(state / "first-password", f"{found.account[1]}\n".encode())
        write_whole(state / "first-account", f"{found.account[0]}\n".encode())
    fresh = state / "etc.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for name, text in etc_files(found.boot, found.time_zone, consoles).items():
        place = fresh / name
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        place.write_text(text, encoding="utf-8")
        place.chmod(MODES.get(name, 0o644))
    for directory in (fresh, *(one for one in fresh.rglob("*") if one.is_dir())):
        directory.chmod(0o755)
    if found.time_zone:
        (fresh / "localtime").symlink_to(f"{ZONES}/{found.time_zone}")
    os.sync()
    old = state / "etc.old"
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        (state / "etc").rename(old)
    fresh.rename(state / "etc")
    sync_directory(state)
    shutil.rmtree(old, ignore_errors=True)
    if found.rewritten:
        with _writable(boot):
            for name, text in found.rewritten:
                write_whole(boot / name, text.encode("utf-8"))


MODES = {"pillarbox.toml": 0o640, "wpa_supplicant/pillarbox.conf": 0o600}
"""Files with passwords in them; the first is given to the server's group where it is copied to."""


def _report(boot: Path, state: Path, findings: Findings) -> None:
    """To the boot partition, for whoever puts the card into a computer, and for the server's status."""
    rows = [f"The settings were not used: {len(findings.faults)} thing(s) to correct in {SETTINGS}.", ""] if findings.faults else []
    rows += [*findings.faults, *([""] if findings.faults and findings.notes else []), *findings.notes]
    text = "".join(f"{row}\r\n" for row in rows)
    place = boot / ERRORS
    with suppress(OSError):
        write_whole(state / "faults", "".join(f"{fault}\n" for fault in findings.faults).encode())
        if text.encode() != (_octets(place) or b""):
            with _writable(boot):
                if text:
                    write_whole(place, text.encode())
                else:
                    place.unlink(missing_ok=True)


@contextmanager
def _writable(boot: Path) -> Iterator[None]:
    """The boot partition can be written meanwhile; a directory that is no mount is written as it is."""
    if not boot.is_mount():
        yield
        return
    _remount(boot, "rw")
    try:
        yield
    finally:
        os.sync()
        _remount(boot, "ro")


def _remount(boot: Path, mode: str) -> None:
    import subprocess

    done = subprocess.run(["/usr/bin/mount", "-o", f"remount,{mode}", str(boot)], capture_output=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise OSError(done.returncode, done.stderr.decode("utf-8", "replace").strip() or "the partition cannot be mounted")


def _octets(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_OCTETS + 1)
    except OSError:
        return None


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def consoles_of(root: Path = Path("/")) -> tuple[str, ...]:
    """The devices the kernel shows its messages on, the serial one first: these get the server's console."""
    try:
        names = (root / "sys/class/tty/console/active").read_text().split()
    except OSError:
        return ()
    return tuple(f"/dev/{name}" for name in sorted(names, key=lambda name: name.startswith("tty") and name[3:].isdigit()))
