"""`pillarbox install` and `uninstall`: the server as a service of a stock Debian or Raspberry Pi OS, and all of it gone again.

Each is a list of steps, told before anything is done; a step whose work is done already is left out, so that a second run changes
nothing and a newer version replaces what is older. The units are those of the card's image, shipped in the wheel (`UNITS`).

| what is made                            | by `uninstall` | by `uninstall --purge` |
|-----------------------------------------|----------------|------------------------|
| unit, user's entry, LED rule, command   | removed        | removed                |
| /etc/pillarbox.toml, /srv/pillarbox, the user pillarbox | stay | removed         |
| the directory of the program itself     | stays: whoever made it removes it | the same |

How it fails: SetupError from `check` before anything is done, or from the step that could not be done; a run that stopped is
made good by the next one.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config.settings import example, host_and_port
from appliance.config.settings_file import read
from appliance.mail.errors import SetupError
from appliance.mail.protocols import PROTOCOLS
from appliance.mail.sentence import Sentence
from appliance.network.sockets import Endpoint, open_listening_sockets

USER = "pillarbox"
DATA, SETTINGS, UNIT, COMMAND = "srv/pillarbox", "etc/pillarbox.toml", "pillarbox.service", "usr/local/bin/pillarbox"
WEB = ("http", "https")
"""Protocols that another program on the machine may well have: left at their trial ports then."""
UNITS: tuple[tuple[str, str, str], ...] = (
    ("etc/systemd/system/pillarbox.service", "usr/lib/systemd/system/pillarbox.service", "the unit of the service"),
    ("etc/sysusers.d/pillarbox.conf", "usr/lib/sysusers.d/pillarbox.conf", "the entry of the user"),
    ("etc/udev/rules.d/60-pillarbox-leds.rules", "usr/lib/udev/rules.d/60-pillarbox-leds.rules", "the rule for the board's LEDs"),
)
"""(place, source, what it is)."""
SHIPPED = Path(__file__).parent / "files"
SOURCES = Path(__file__).resolve().parents[2] / "firmware-config/rootfs"
"""In a wheel, and in a checkout."""
LEAN = "lean-code"
COMMAND_S = 300.0
"""Longest that a program of the system may take."""


@dataclass(frozen=True, slots=True)
class InstallStep:
    """`text`: what it does, for a list; `needed`: is there anything to do?"""

    text: str
    needed: Callable[[], bool]
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class System:
    """The machine: its `root`, the `program` and the private environment it is in, and how programs of the system are run."""

    root: Path = Path("/")
    program: Path = Path(sys.argv[0])
    environment: Path = Path(sys.prefix)

    def call(self, *words: str) -> str:
        """Run a program of the system; its output. Raises SetupError."""
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=COMMAND_S)  # noqa: S603 - fixed words
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(
                Sentence("%(words)s could not be run: %(error)s.", words=words[0], error=error), "Is this a Debian with systemd?"
            ) from error
        if done.returncode:
            raise SetupError(
                Sentence("%(words)s failed: %(stderr)s", words=" ".join(words), stderr=(done.stderr or done.stdout).strip()),
                "Correct that, then run it again.",
            )
        return done.stdout

    def says_yes(self, *words: str) -> bool:
        try:
            return subprocess.run(words, capture_output=True, check=False, timeout=COMMAND_S).returncode == 0  # noqa: S603 - fixed words
        except (OSError, subprocess.TimeoutExpired):
            return False


# --- before anything is done ---------------------------------------------------------------------


def check(system: System) -> None:
    """Whether `install` can be done here. Raises SetupError."""
    if not (system.root / "run/systemd/system").is_dir():
        raise SetupError("This machine does not run systemd.", "Run it by hand: pillarbox serve (see README.md).")
    if not system.program.exists():
        raise SetupError(
            Sentence("There is no program %(program)s.", program=system.program),
            "Type its whole path, as in /opt/pillarbox/bin/pillarbox install.",
        )
    for directory in (*system.program.resolve().parents, *Path(sys.executable).resolve().parents):
        if not directory.stat().st_mode & 0o001:
            what = Sentence(
                "Pillarbox is in %(environment)s, and other users may not enter %(directory)s.",
                environment=system.environment,
                directory=directory,
            )
            raise SetupError(what, "Put it where the service may read it: python3 -m venv /opt/pillarbox, then install it there.")
    if not system.says_yes("systemctl", "is-active", "--quiet", UNIT):
        settings = system.root / SETTINGS
        mail = [Endpoint(row.name, "*", row.port) for row in PROTOCOLS if row.name not in WEB]
        _expect_free(_wanted(settings) if settings.exists() else mail)


def _wanted(settings: Path) -> list[Endpoint]:
    listen = read(settings).listen
    return [Endpoint(row.name, *host_and_port(where)) for row in PROTOCOLS for where in listen.addresses(row.name)]


def _expect_free(endpoints: Sequence[Endpoint]) -> None:
    """Raises SetupError where another program has a port."""
    for opened in open_listening_sockets(endpoints):
        opened.socket.close()


# --- install -------------------------------------------------------------------------------------


def install_steps(system: System) -> list[InstallStep]:
    """In their order."""
    root = system.root
    files = [_file_step(system, place, source, text) for place, source, text in UNITS if source.count("udev") == 0 or has_leds(root)]
    link, data, settings, lean = root / COMMAND, root / DATA, root / SETTINGS, system.environment / LEAN
    unit = root / UNITS[0][0]
    is_new = unit.exists() and unit.read_bytes() != shipped(UNITS[0][1])
    return [
        *files,
        InstallStep(f"make the system user {USER}", lambda: not user_exists(),
                    lambda: system.call("systemd-sysusers", str(root / UNITS[1][0]))),
        InstallStep(f"make {data}, which only this user may read", lambda: not data.exists(), lambda: _make_data(data)),
        InstallStep(f"write {settings} with the real ports; every setting is explained there", lambda: not settings.exists(),
             lambda: _write_settings(settings)),
        InstallStep(f"make the command {link}", lambda: not _is_ours(link, system.program), lambda: _make_link(link, system.program)),
        InstallStep(f"compile the program into {lean}, which saves memory", lambda: is_outdated(lean), lambda: _compile(system, lean)),
        InstallStep(f"start {UNIT} now and at every boot", lambda: not _runs(system),
             lambda: system.call("systemctl", "enable", "--now", UNIT)),
        InstallStep(f"start {UNIT} again, with this version", lambda: _runs(system) and (is_new or is_outdated(lean)),
             lambda: system.call("systemctl", "restart", UNIT)),
    ]  # fmt: skip


def shipped(source: str) -> bytes:
    """The content of a file of the image's tree, out of the wheel or the checkout."""
    packed = SHIPPED / Path(source).name
    return (packed if packed.exists() else SOURCES / source).read_bytes()


def has_leds(root: Path) -> bool:
    """Has the board LEDs that the server may show its state on?"""
    return any((root / "sys/class/leds" / name).exists() for name in ("ACT", "led0"))


def user_exists() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def is_outdated(lean: Path) -> bool:
    """Is the compiled program missing, or older than what it was compiled from?"""
    stamp = lean / "stamp"
    newest = max((one.stat().st_mtime for one in Path(__file__).parents[1].rglob("*.py")), default=0.0)
    return not stamp.exists() or stamp.stat().st_mtime < newest


def _runs(system: System) -> bool:
    return system.says_yes("systemctl", "is-enabled", "--quiet", UNIT) and system.says_yes("systemctl", "is-active", "--quiet", UNIT)


def _file_step(system: System, place: str, source: str, text: str) -> InstallStep:
    path, content = system.root / place, shipped(source)

    def do() -> None:
        _write(path, content, 0o644)
        if path.suffix == ".service":
            system.call("systemctl", "daemon-reload")

    return InstallStep(f"write {path}, {text}", lambda: not path.exists() or path.read_bytes() != content, do)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.replace(path)


def _make_data(data: Path) -> None:
    data.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    data.mkdir(mode=0o700)
    shutil.chown(data, USER, USER)


def _write_settings(settings: Path) -> None:
    """The example with the real ports; the web's only where they are free."""
    text = example()
    for row in PROTOCOLS:
        free = row.name not in WEB or _is_free(Endpoint(row.name, "*", row.port))
        default = f'# {row.name} = ["127.0.0.1:{row.trial_port}"]\n'
        if free:
            text = text.replace(default, f'{row.name} = "*:{row.port}"\n')
    _write(settings, text.encode(), 0o640)
    shutil.chown(settings, "root", USER)


def _is_free(endpoint: Endpoint) -> bool:
    try:
        _expect_free([endpoint])
    except SetupError:
        return False
    return True


def _is_ours(link: Path, program: Path) -> bool:
    return link.resolve() == program.resolve()


def _make_link(link: Path, program: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise SetupError(Sentence("%(link)s is another program.", link=link), "Take it away, then run this again.")
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = link.with_name(".pillarbox.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(program.absolute())
    fresh.replace(link)


def _compile(system: System, lean: Path) -> None:
    """As `make setup` does: without docstrings, for the server only. Readable by the service, whatever the umask."""
    words = (sys.executable, "-OO", "-P", "-m", "appliance.app.process", "compile")
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(lean)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, umask=0o022)  # noqa: S603 - our own module
    if done.returncode:
        raise SetupError(
            Sentence("The program could not be compiled: %(stderr)s", stderr=done.stderr.strip()[-300:]), "Is there space on the storage?"
        )
    lean.chmod(0o755)
    (lean / "stamp").touch()


# --- uninstall -----------------------------------------------------------------------------------


def uninstall_steps(system: System, *, purge: bool) -> list[InstallStep]:
    """In their order; with `purge` mail, settings and user go too."""
    root = system.root
    unit, link, lean = root / UNITS[0][0], root / COMMAND, system.environment / LEAN
    steps = [
        InstallStep(f"stop {UNIT} and start it no more", unit.exists, lambda: system.call("systemctl", "disable", "--now", UNIT)),
        *(_remove_step(root / place, text) for place, _, text in UNITS),
        InstallStep(f"remove the command {link}", lambda: link.is_symlink() and _is_ours(link, system.program), link.unlink),
        InstallStep(f"remove the compiled program in {lean}", lean.exists, lambda: shutil.rmtree(lean)),
        InstallStep(f"have systemd forget {UNIT}", unit.exists, lambda: system.call("systemctl", "daemon-reload")),
    ]
    if purge:
        data, settings = root / DATA, root / SETTINGS
        steps += [
            InstallStep(f"erase all mail in {data}, for good", data.exists, lambda: shutil.rmtree(data)),
            InstallStep(f"remove {settings}", settings.exists, settings.unlink),
            InstallStep(f"remove the system user {USER}", user_exists, lambda: system.call("userdel", USER)),
        ]
    return steps


def _remove_step(path: Path, text: str) -> InstallStep:
    return InstallStep(f"remove {path}, {text}", path.exists, path.unlink)
