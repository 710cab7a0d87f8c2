"""What the README tells people to type is typed here, in its order, and does what it says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.settings import LISTEN_SECTION, arrays, default_of, explained, sections
from appliance.mail.protocols import PROTOCOLS
from tests.support.needs import program, root
from tests.support.server import COMMAND, ROOT, Pillarbox, environment, free_ports, in_terminal, new_data, on_terminal, pillarbox
from tests.support.wire import Smtp

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?m)(?:^    \S.*\n)+", README)
MESSAGE = b"From: old@friend.example\nSubject: of old\n\nWords.\n"


def commands() -> list[str]:
    """The words of the table of commands, in order."""
    table = README.split("| to | type `pillarbox ...`")[1].split("\n\n")[0]
    found = []
    for row in table.splitlines()[2:]:
        found += re.findall(r"`([^`]+)`", row.split("|")[2])
    return found


def words_of(command: str, place: Path) -> list[str]:
    """A line of the table with a family's own names in it."""
    name = "guest" if command.startswith(("account add", "account re")) else "ada"
    if command.startswith(("account admin", "account disable", "account enable")):
        name = "new"  # who was renamed; not the only administrator
    line = command.replace("NAME@", f"{name}@").replace("DOMAIN", "smith.example")
    if command.startswith("account remove"):
        line += " --yes"  # it asks first
    return [str(place / word) if word in ("old.mbox", "folder") else word for word in line.split()]


def test_the_three_steps_and_every_command_of_the_table(tmp_path: Path) -> None:
    settings, data = tmp_path / "pillarbox.toml", tmp_path / "pillarbox"
    settings.write_text(pillarbox("settings", "example").stdout)
    pillarbox("settings", "check", str(settings))
    assert "Password: " in on_terminal("account", "add", "ada@smith.example", data=data)
    assert "Password: " in on_terminal("account", "add", "ben@smith.example", data=data)
    for name, message in (("old", MESSAGE), ("Family", b"Subject: shared\n\nWords.\n")):
        (tmp_path / f"{name}.mbox").write_bytes(b"From x Tue Jan  2 10:11:13 2024\n" + message)
    pillarbox("import", "ada@smith.example", str(tmp_path / "Family.mbox"), data=data)
    with Pillarbox(data, "--settings", str(settings), domain="smith.example"):
        listed = commands()
        assert len(listed) >= 10
        for command in listed:
            words = words_of(command, tmp_path)
            if words == ["check"]:
                continue  # it wants the server asleep or says so: below
            on_terminal(*words, data=data)
    assert pillarbox("check", data=data).returncode == 0
    kept = [path.read_bytes() for path in (tmp_path / "folder").rglob("*") if path.is_file() and b"of old" in path.read_bytes()]
    assert len(kept) == 1, "what was imported was exported"


def family() -> list[str]:
    """The commands of the family's section that a shell is given, in order; the unit file is none."""
    section = README.split("## Run it for the family")[1].split("\n## ")[0]
    lines = [line.strip() for block in re.findall(r"(?m)(?:^    \S.*\n)+", section) for line in block.splitlines()]
    return [line for line in lines if "=" not in line.split()[0] and not line.startswith("[")]


ELSEWHERE = ("apt install", "/opt/pillarbox/.venv/bin/pillarbox install")
"""Not run here: they change the machine. `.ci/run` installs packages on a bare one, `make install-test` the service."""


class Place:
    """Where the family's paths lie in a test, with the rights of one user."""

    def __init__(self, root: Path, user: int | None) -> None:
        self.root, self.user = root, user
        for folder in ("opt", "srv", "etc", "usr/local/bin", "home"):
            (root / folder).mkdir(parents=True)
        self.own()

    def own(self) -> None:
        if self.user is not None:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, self.user, self.user, follow_symlinks=False)

    def set_up(self) -> None:
        """What `make setup` makes in the clone: the command; this test's own environment stands behind it."""
        command = self.root / "opt/pillarbox/.venv/bin/pillarbox"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
        command.chmod(0o755)
        link = self.root / "usr/local/bin/pillarbox"
        link.unlink(missing_ok=True)
        link.symlink_to(command)
        self.own()

    def here(self, line: str) -> str:
        """The line with this place's paths, as this user may type it."""
        line = line.replace("ADDRESS-OF-THIS-REPOSITORY", str(ROOT)).replace("~/", f"{self.root}/home/")
        for path in ("/opt/pillarbox", "/srv/pillarbox", "/etc/pillarbox.toml", "/usr/local/bin"):
            line = line.replace(path, f"{self.root}{path}")
        return line

    def environment(self) -> dict[str, str]:
        return {**environment(), "HOME": str(self.root), "PATH": f"{self.root}/usr/local/bin:{os.environ['PATH']}"}

    def words(self, line: str) -> list[str]:
        drop = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if self.user is not None else []
        return [*drop, "sh", "-c", line if self.user is None else line.replace("-o 0 -g 0", f"-o {self.user} -g {self.user}")]

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.words(line), capture_output=True, text=True, env=self.environment(), cwd=self.root, timeout=60, check=False
        )


@pytest.fixture(params=["as it is", "an ordinary user"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    user = 65534 if request.param == "an ordinary user" and not os.geteuid() else None  # whoever is no root is one already
    if user is not None:
        can = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *COMMAND, "--version"]
        if subprocess.run(can, capture_output=True, env=environment(), cwd="/", check=False).returncode:
            pytest.skip("an ordinary user cannot read this folder")
    root = Path(tempfile.mkdtemp(prefix="pillarbox-readme-"))
    root.chmod(0o755)
    try:
        yield Place(root, user)
    finally:
        shutil.rmtree(root)


def test_the_family_s_commands(place: Place) -> None:
    """Each as it stands there, with paths of the test's own; on a terminal where it shows a password."""
    ran = []
    for line in family():
        here = place.here(line)
        if line.startswith(ELSEWHERE):
            continue
        if line.startswith("make -C"):
            place.set_up()
            continue
        if "account add" in line:
            shown = in_terminal(place.words(here), environ=place.environment(), cwd=place.root)
            assert "Password: " in shown, shown
        elif " serve " in line:
            ports = [f"--listen imaps=127.0.0.1:{free_ports(1)[0]}"]
            served(place, here, ports)
        elif "status" in line:
            assert place.run(here).returncode == 3, "nothing runs yet in this test"
        else:
            done = place.run(here)
            if place.user is not None and line.startswith("git clone") and done.returncode:
                assert "dubious ownership" in done.stderr, done  # this checkout is root's
                continue
            assert done.returncode == 0, (here, done)
        ran.append(line.split()[0])
    assert [word for word in ran if word != "git"] == ["pillarbox"] * 4, ran


def served(place: Place, line: str, more: list[str]) -> None:
    words, environ = place.words(f"exec {line} {' '.join(more)}"), place.environment()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ, cwd=place.root)
    try:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_unit_of_the_service_is_one() -> None:
    unit = ROOT / "firmware-config/rootfs/usr/lib/systemd/system/pillarbox.service"
    analyze = program("systemd-analyze", "systemd")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / unit.name
        path.write_text(unit.read_text().replace("ExecStart=pillarbox", "ExecStart=/bin/true"))
        done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if unit.name in line], done.stderr


def test_with_only_the_unit_s_right_an_ordinary_user_binds_the_real_ports(tmp_path: Path) -> None:
    root()
    capsh = program("capsh", "libcap2-bin")
    for capability, expected in (("", 2), ("cap_net_bind_service", 0)):
        given = [f"--inh={capability}", "--user=nobody", f"--addamb={capability}"] if capability else ["--user=nobody"]
        code = "import socket; s = socket.socket(); s.bind(('127.0.0.77', 993))"
        keep = ["--keep=1"] if capability else []
        words = [capsh, *keep, *given, "--", "-c", f'{sys.executable} -c "{code}"']
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        assert bool(done.returncode) == bool(expected and start > 993), done


@pytest.mark.parametrize("place", ["an ordinary user"], indirect=True)
def test_dead_ends_name_the_way_out(place: Place) -> None:
    place.set_up()
    done = place.run("pillarbox serve --data /srv/pillarbox-of-nobody")
    assert done.returncode == 2 and "install -d -o" in done.stderr and "Traceback" not in done.stderr
    done = place.run(f"pillarbox serve --data {place.root}/mine --listen smtp=127.0.0.78:25")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 25:
        assert done.returncode == 2 and "CAP_NET_BIND_SERVICE" in done.stderr and "README" in done.stderr


def test_the_certificate_command_of_the_readme_writes_an_authority(tmp_path: Path) -> None:
    line = next(line for block in BLOCKS for line in block.splitlines() if "certificate export" in line)
    new_data(tmp_path / "data")
    with Pillarbox(tmp_path / "data", protocols=("imaps",)):
        words = line.split()[1:]
        words[words.index("data")] = str(tmp_path / "data")
        words[words.index("pillarbox.pem")] = str(tmp_path / "pillarbox.pem")
        pillarbox(*words)
    assert "BEGIN CERTIFICATE" in (tmp_path / "pillarbox.pem").read_text()


def test_every_make_target_named_exists() -> None:
    named = set(re.findall(r"(?m)(?:^    |`)make ([a-z][a-z-]+)", README))
    known = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert named <= known, named - known


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:appliance|tests)/[\w./]+)`", README))))
def test_every_place_named_exists(path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


def settings_table() -> str:
    """Every setting, from its field."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for name, section in (*sections(), *arrays()):
        for one in explained(section):
            value, words, least, most = default_of(one), *(one.metadata[key] for key in ("words", "least", "most"))
            shown = str(value).lower() if isinstance(value, bool) else ", ".join(value) if isinstance(value, tuple) else str(value)
            allowed = f" One of: {', '.join(words)}." if words else f" From {least:,} to {most:,}." if most is not None else ""
            lines.append(f"| `{name}.{one.name}` | {shown or '-'} | {one.metadata['text']}{allowed} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_settings_is_what_can_be_set() -> None:
    assert settings_table() in README, "README.md's Settings should read:\n" + settings_table()


def test_settings_reach_the_server(tmp_path: Path) -> None:
    """One of each kind, from the file to what a client hears."""
    settings = tmp_path / "pillarbox.toml"
    settings.write_text("[smtp]\nsign_in_on_25 = true\ngreet_pause_s = 1\n[messages]\nlargest_mb = 2\nrecipients = 123\n")
    with Pillarbox(new_data(tmp_path / "data"), "--settings", str(settings), protocols=("smtp",)) as server:
        since = time.monotonic()
        with Smtp(server.ports["smtp"]) as smtp:
            assert time.monotonic() - since >= 1
            said = smtp.ask(b"EHLO client.example")
        assert b"250-AUTH SCRAM" in said and b"SIZE 2000000" in said and b"RCPTMAX=123" in said, said


def test_the_ports_of_the_table_are_the_defaults() -> None:
    table = README.split("| what | server | port | security |")[1].split("\n\n")[0]
    ports = set(re.findall(r"\| (\d{4}) \|", table))
    defaults = {where.rpartition(":")[2] for row in PROTOCOLS for where in LISTEN_SECTION().addresses(row.name)}
    assert ports and ports <= defaults
