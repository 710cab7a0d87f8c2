"""system/install: steps that are told before they are done, done once, and undone; the units themselves.

Under a real systemd: `make install-test`.
"""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import system as commands
from appliance.config.settings_file import parse
from appliance.mail.errors import SetupError
from appliance.system import install
from appliance.system.install import UNITS, InstallStep, System, check, install_steps, shipped, uninstall_steps
from tests.support.needs import program

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "firmware-config/rootfs/usr/lib"


class Recorded(System):
    """A machine below a directory, whose programs are only written down; `active`: the server runs."""

    calls: list[str]
    active: bool

    def __init__(self, root: Path) -> None:
        program = root / "opt/pillarbox/bin/pillarbox"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        (root / "run/systemd/system").mkdir(parents=True)
        super().__init__(root, program, root / "opt/pillarbox")
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "active", False)

    def call(self, *words: str) -> str:
        self.calls.append(" ".join(words))
        return ""

    def says_yes(self, *words: str) -> bool:
        return self.active


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr(install, "user_exists", lambda: False)
    monkeypatch.setattr(shutil, "chown", lambda *words: None)
    monkeypatch.setattr(install, "_compile", lambda system, lean: (lean.mkdir(exist_ok=True), (lean / "stamp").touch()))
    return Recorded(tmp_path)


def due(steps: list[InstallStep]) -> list[InstallStep]:
    return [step for step in steps if step.needed()]


def test_installed_once_and_nothing_the_second_time(machine: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    first = due(install_steps(machine))
    assert not machine.calls and not (machine.root / "etc").exists(), "told before anything is done"
    for step in first:
        step.do()
    assert machine.calls[0] == "systemctl daemon-reload" and machine.calls[-1] == "systemctl enable --now pillarbox.service"
    assert (machine.root / "etc/systemd/system/pillarbox.service").read_bytes() == shipped(UNITS[0][1])
    assert (machine.root / "usr/local/bin/pillarbox").resolve() == machine.program.resolve()
    assert (machine.root / "srv/pillarbox").stat().st_mode & 0o777 == 0o700
    settings = machine.root / "etc/pillarbox.toml"
    made = parse(settings.read_bytes(), "x")
    assert settings.stat().st_mode & 0o777 == 0o640
    assert made.listen.addresses("smtp") == ("*:25",) and made.listen.addresses("imaps") == ("*:993",)
    monkeypatch.setattr(install, "user_exists", lambda: True)
    object.__setattr__(machine, "active", True)
    assert due(install_steps(machine)) == []


def test_an_upgrade_replaces_the_unit_and_starts_again(machine: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in due(install_steps(machine)):
        step.do()
    monkeypatch.setattr(install, "user_exists", lambda: True)
    object.__setattr__(machine, "active", True)
    settings = machine.root / "etc/pillarbox.toml"
    settings.write_text("# ours\n")
    (machine.root / UNITS[0][0]).write_text("[Unit]\n")
    (machine.environment / "lean-code/stamp").unlink()
    machine.calls.clear()
    for step in due(install_steps(machine)):
        step.do()
    assert machine.calls == ["systemctl daemon-reload", "systemctl restart pillarbox.service"] and settings.read_text() == "# ours\n"


def test_uninstalled_the_mail_stays_unless_told(machine: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in due(install_steps(machine)):
        step.do()
    machine.calls.clear()
    for step in due(uninstall_steps(machine, purge=False)):
        step.do()
    assert machine.calls == ["systemctl disable --now pillarbox.service", "systemctl daemon-reload"]
    there = (place for place in machine.root.rglob("*") if not place.is_dir() or place.name == "pillarbox")
    left = {place.relative_to(machine.root).as_posix() for place in there}
    assert left == {"etc/pillarbox.toml", "srv/pillarbox", "opt/pillarbox", "opt/pillarbox/bin/pillarbox"}
    monkeypatch.setattr(install, "user_exists", lambda: True)
    for step in due(uninstall_steps(machine, purge=True)):
        step.do()
    assert machine.calls[-1] == "userdel pillarbox" and not (machine.root / "srv/pillarbox").exists()
    monkeypatch.setattr(install, "user_exists", lambda: False)
    assert due(uninstall_steps(machine, purge=True)) == []


def test_what_cannot_work_is_refused_before_anything_is_done(machine: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "opt").chmod(0o750)
    with pytest.raises(SetupError, match="other users may not enter"):
        check(machine)
    (machine.root / "run/systemd/system").rmdir()
    with pytest.raises(SetupError, match="does not run systemd"):
        check(machine)
    other = machine.root / "usr/local/bin/pillarbox"
    other.parent.mkdir(parents=True)
    other.write_text("another\n")
    link = next(step for step in install_steps(machine) if "the command" in step.text)
    with pytest.raises(SetupError, match="another program"):
        link.do()


def test_only_root_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    words: Any = type("Words", (), {"special": "install", "yes": True})
    with pytest.raises(SetupError) as refused:
        commands.run(words)
    assert "sudo pillarbox install" in refused.value.remedy


def test_the_wheel_has_every_file_that_is_installed() -> None:
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {f"firmware-config/rootfs/{source}": f"appliance/system/files/{Path(source).name}" for _, source, _ in UNITS} == packed
    assert all(shipped(source) for _, source, _ in UNITS)


# --- the units of the card -----------------------------------------------------------------------


def test_the_server_s_unit_is_hardened() -> None:
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "security", "--offline=yes", "--no-pager", str(TREE / "systemd/system/pillarbox.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found and float(found[1]) < 2.0, done.stdout[-300:] + done.stderr


def test_every_unit_of_the_preset_exists_and_every_line_of_it_is_one() -> None:
    rows = (TREE / "systemd/system-preset/00-pillarbox.preset").read_text().splitlines()
    enabled = [row.split()[1] for row in rows if row.startswith("enable")]
    ours = {path.name for path in (TREE / "systemd/system").iterdir() if path.is_file()}
    assert {one for one in enabled if one.startswith("pillarbox")} <= ours and rows[-1] == "disable *"
    for name in ours:
        text = (TREE / "systemd/system" / name).read_text()
        assert text.startswith("#"), f"{name} does not say what it is for"
        assert ("[Install]" in text) == (name in enabled), f"{name}: in the preset or started by another unit"


def test_the_scripts_are_programs_of_sh() -> None:
    for path in (TREE / "pillarbox").iterdir():
        assert path.stat().st_mode & 0o111 == 0o111 and path.read_text().startswith("#!/bin/sh\n#"), path
        assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0


@pytest.mark.parametrize("path", sorted((ROOT / "firmware-config/overlays").glob("*.dts")), ids=lambda path: path.stem)
def test_overlays_compile(path: Path, tmp_path: Path) -> None:
    words = [program("dtc", "device-tree-compiler"), "-q", "-@", "-I", "dts", "-O", "dtb", "-o", str(tmp_path / "out.dtbo"), str(path)]
    assert subprocess.run(words, check=False).returncode == 0


def test_the_name_servers_of_the_network(tmp_path: Path) -> None:
    """The script, on networkd's state as it is in Debian 13."""
    state, to = tmp_path / "state", tmp_path / "servers.conf"
    text = (TREE / "pillarbox/name-servers").read_text()
    script = text.replace("/run/systemd/netif/state", str(state)).replace("/run/pillarbox-name-servers.conf", str(to))
    subprocess.run(["sh", "-c", script], check=True)
    assert to.read_text() == ""
    state.write_text("OPER_STATE=routable\nDNS=192.0.2.1#dns.example 2001:db8::1 fe80::1%1 fe80::2%9999\nNTP=192.0.2.9\n")
    subprocess.run(["sh", "-c", script], check=True)
    assert to.read_text() == "nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%lo\n"
