"""The server as a fresh process: `python -P -m appliance.app.process DESCRIPTOR`, with PYTHONOPTIMIZE=2.

`pillarbox serve` reads command line and settings, then becomes this by exec: same process id, same sockets from systemd, but
without the command's own modules, without docstrings, and with an allocator set to return memory early. Measured
on CPython 3.11: 28 MB become 25 after the start, 43 become 35 with two hundred idle sessions.
"""

import marshal
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.config.settings import Settings

ALLOCATOR = (
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TOP_PAD_", "0"),
)
"""glibc's settings (mallopt(3)): one arena, and memory of a large message is returned at once. Other C libraries ignore them."""

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Nothing is imported from the current directory, which others may be able to write: not here, in children or after exec."""

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

LEAN = "lean-code"
"""A directory of the private environment; `make setup` fills it. It has code for PYTHONOPTIMIZE=2 only, and a child process inherits
both variables: with one of them it would compile all that it imports, at each start."""


def become_the_server(data: Path, settings: "Settings", *, welcome: bool, settings_file: str = "") -> int:
    """Replace this process by the server; where exec fails, run the server here and return its exit status."""
    fields: dict[str, Any] = {"data": str(data), "welcome": welcome, "settings": plain(settings), "command": sys.orig_argv[1:]}
    fields["settings_file"] = str(Path(settings_file).resolve()) if settings_file else ""
    packed = marshal.dumps(fields)
    out, into = os.pipe()
    os.set_inheritable(out, True)
    os.write(into, packed)  # a few hundred octets: a pipe holds 64 KiB
    os.close(into)
    lean = _lean_code()
    environment = {**dict(ALLOCATOR), **os.environ, **SAFE_PATH, **({"PYTHONPYCACHEPREFIX": lean, "PYTHONOPTIMIZE": "2"} if lean else {})}
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the fresh process can answer it without a traceback
    try:
        os.execve(sys.executable, [sys.executable, "-P", "-m", "appliance.app.process", str(out)], environment)  # noqa: S606
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.close(out)
        return _serve(fields)


def plain(settings: "Settings") -> dict[str, Any]:
    """Settings as dicts, arrays of tables as lists of them."""

    def table(section: Any) -> dict[str, Any]:
        return {key: getattr(section, key) for key in type(section).__dataclass_fields__}

    found = {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}
    return {name: [table(one) for one in value] if isinstance(value, tuple) else table(value) for name, value in found.items()}


def from_plain(fields: dict[str, Any]) -> "Settings":
    """The settings that `plain` made dicts of."""
    from appliance.config.settings import Settings, arrays, sections

    several: dict[str, Any] = {name: tuple(kind(**one) for one in fields[name]) for name, kind in arrays()}
    return Settings(**{name: kind(**fields[name]) for name, kind in sections()}, **several)


def _lean_code() -> str:
    """Where compiled code without docstrings is; "" when `make setup` has not made it: compiling at each start takes seconds."""
    place = Path(sys.prefix) / LEAN
    return str(place) if place.is_dir() else ""


def compile_lean() -> None:
    """`python -OO -P -m appliance.app.process compile`, with PYTHONPYCACHEPREFIX: load every module once, so that its compiled code is
    stored, and the code of the templates of pages with it."""
    import importlib
    import pkgutil

    import appliance
    from appliance.web.template_environment import compile_templates

    for module in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if not module.name.endswith(("__main__", ".app.process")):
            importlib.import_module(module.name)
    if sys.pycache_prefix:
        compile_templates(Path(sys.pycache_prefix))


def _serve(fields: dict[str, Any]) -> int:
    from .server import RESTART_STATUS, serve

    file = Path(fields["settings_file"]) if fields["settings_file"] else None
    done = serve(Path(fields["data"]), from_plain(fields["settings"]), welcome=fields["welcome"], settings_file=file)
    if done == RESTART_STATUS:
        _restart(fields["command"])
    return done


def _restart(command: list[str]) -> None:
    """Exec the command as it was typed, which reads its settings again. Returns only where exec fails."""
    from appliance.network.sockets import keep_handed

    keep_handed(os.environ, os.getpid())
    environment = {**os.environ, **SAFE_PATH}
    for name in ("PYTHONPYCACHEPREFIX", "PYTHONOPTIMIZE"):  # the compiled code is the server's and its children's only
        environment.pop(name, None)
    with suppress(OSError):
        os.execve(sys.executable, [sys.executable, *command], environment)  # noqa: S606


def main(arguments: list[str]) -> int:
    """The fresh process: the exit status."""
    from appliance.mail.errors import SetupError
    from appliance.runtime.standard_streams import prepare

    if arguments == ["compile"]:
        compile_lean()
        return 0
    prepare(strict=False)
    with os.fdopen(int(arguments[0]), "rb") as given:
        fields = marshal.loads(given.read())  # noqa: S302 - our own data, from this process before exec
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the supervisor listens: see `appliance.__main__`
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return _serve(fields)
    except SetupError as error:
        from appliance.cli.wording import in_words

        print(f"pillarbox: {in_words(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the supervisor hears signals
        return INTERRUPTED
    except BaseExceptionGroup as group:  # the nursery's wrapping
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
