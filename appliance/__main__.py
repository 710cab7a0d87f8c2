"""Entry point of `pillarbox` and `python -m appliance`: parses what a machine runs when it starts, passes every other command to `cli`.

`python -m` puts the current folder first in the module path (without -P). It is taken out before anything else is
imported: a folder that others can write to must not supply a `trio.py` to a command, least of all to one of root's.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

import _signal  # type: ignore[import-not-found] # `signal` loads `enum`: a Ctrl-C meanwhile would be a traceback
import os

TYPE_CHECKING = False  # `typing` and the others below take a tenth of a second
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from appliance.config.settings import Settings

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
PRIVATE = 0o077
"""The umask of the server, every command and their child processes: mail, keys and exports are the owner's alone."""


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command; the exit status. Ctrl-C ends it without a traceback at any point."""
    _at_interrupt(_signal.SIG_DFL)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseExceptionGroup as group:  # a nursery's wrapping
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return INTERRUPTED


def _at_interrupt(action: "Any") -> None:
    """Set what SIGINT does; a command that was started with it ignored (nohup, `&` in a script) goes on ignoring it.

    While modules load it is the default action, death without a word: a KeyboardInterrupt that meets a weak reference's callback is
    printed and forgotten by Python, and the command would go on.
    """
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, action)


def _run(arguments: "Sequence[str] | None") -> int:
    from appliance.runtime.standard_streams import prepare

    os.umask(PRIVATE)
    args = list(sys.argv[1:] if arguments is None else arguments)
    serving = args[:1] in (["serve"], ["run"])
    prepare(strict=not serving)
    if serving:
        from appliance.cli.serve import parse_serving

        return _worded(lambda: _serve(parse_serving(args)))
    if args[:1] == ["first-boot"]:
        from appliance.cli.serve import parse_first_boot

        return _worded(lambda: _first_boot(parse_first_boot(args)))
    from importlib.metadata import version

    from appliance.cli.main import main as command

    _at_interrupt(_signal.default_int_handler)  # from here on a command may have something to put in order
    return command(args, version=version("pillarbox"), offline=_offline)


def _offline(data: "Path", reading: bool) -> "Any":
    if reading:
        from appliance.app.read_only import reading as look

        return look(data)
    from appliance.app.server import offline

    return offline(data)


def _worded(command: "Callable[[], int]") -> int:
    """The command's exit status; 2 and a sentence for what it cannot use."""
    from appliance.mail.errors import SetupError

    try:
        return command()
    except SetupError as error:
        from appliance.cli.wording import in_words

        print(f"pillarbox: {in_words(error)}", file=sys.stderr)
        return 2


def _serve(args: "Any") -> int:
    """`serve` or `run`: the settings, then the server."""
    from appliance.app.process import become_the_server

    settings = settings_of(args)
    if os.geteuid() == 0:
        from appliance.app.low_ports import give_up_root

        give_up_root(args.data, settings)
    return become_the_server(args.data, settings, welcome=args.special == "run", settings_file=args.settings or "")


def _first_boot(args: "Any") -> int:
    from appliance.cli.system import run

    _at_interrupt(_signal.default_int_handler)
    return run(args)


def settings_of(args: "Any") -> "Settings":
    """The settings file with the options of the command line over it. Raises SetupError."""
    from dataclasses import replace
    from pathlib import Path

    from appliance.config.settings import LISTEN_SECTION, Settings
    from appliance.config.settings_file import parse_listen, read
    from appliance.mail.errors import SetupError
    from appliance.mail.protocols import PROTOCOL_NAMES
    from appliance.runtime.identity import database_is_there

    database_is_there(args.data)  # raises where this user may not look
    own = args.data / "pillarbox.toml"
    settings = read(Path(args.settings)) if args.settings else read(own) if own.exists() else Settings()
    if args.domain:
        settings = replace(settings, server=replace(settings.server, domain=args.domain))
    if args.listen:
        none = dict.fromkeys(PROTOCOL_NAMES, ())
        settings = replace(settings, listen=LISTEN_SECTION(**{**none, **parse_listen(args.listen)}))
    if args.plaintext_login:
        settings = replace(settings, accounts=replace(settings.accounts, plaintext_login=True))
    if bool(args.certificate) != bool(args.key):
        raise SetupError("A certificate and its key belong together.", "Give both --certificate and --key, or neither.")
    if args.certificate:
        settings = replace(settings, certificate=replace(settings.certificate, file=args.certificate, key=args.key))
    return settings


if __name__ == "__main__":
    sys.exit(main())
