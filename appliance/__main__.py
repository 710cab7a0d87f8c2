"""`python -m appliance` and the command `pillarbox`: hands the rooms of floor 7 to the words of floor 6.

`python -m` puts the current folder first in the module path (without -P). It is taken out before anything else is
imported: a folder somebody else may write to must not lend its `trio.py` to a command, least of all to root's.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

import os

TYPE_CHECKING = False  # `typing` and the others below take a tenth of a second, in which Ctrl-C would be a traceback
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
    """Run one command; the exit status. Ctrl-C ends it without a word wherever it is, while modules are loaded too."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseExceptionGroup as group:  # a nursery's wrapping
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return INTERRUPTED


def _run(arguments: "Sequence[str] | None") -> int:
    os.umask(PRIVATE)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["serve"], ["run"]):
        from appliance.cli.serve import parse_serving

        return _serve(lambda: parse_serving(words))
    from importlib.metadata import version

    from appliance.cli.main import main as command

    return command(words, version=version("pillarbox"), offline=_offline)


def _offline(data: "Path", reading: bool) -> "Any":
    if reading:
        from appliance.app.read_only import reading as look

        return look(data)
    from appliance.app.server import offline

    return offline(data)


def _serve(parse: "Callable[[], Any]") -> int:
    """Settings from the words of `serve` or `run`, then the server."""
    from appliance.app.process import become_the_server
    from appliance.mail.errors import SetupError

    try:
        words = parse()
        settings = settings_of(words)
        if os.geteuid() == 0:
            _give_up_root(words, settings)
        return become_the_server(words.data, settings, welcome=words.special == "run")
    except SetupError as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return 2


def _give_up_root(words: "Any", settings: "Settings") -> None:
    """Bind the low ports, then be whom the data directory belongs to, when that is somebody else."""
    from appliance.app.listeners import endpoints
    from appliance.runtime import privileges

    owner = privileges.other_owner(words.data)
    if owner is not None:
        privileges.expect_usable(owner, words.data)
        privileges.bind_as_root(endpoints(settings))
        privileges.become(owner)


def settings_of(words: "Any") -> "Settings":
    from dataclasses import replace
    from pathlib import Path

    from appliance.config.settings import PROTOCOLS, ListenSettings, Settings
    from appliance.config.settings_file import parse_listen, read
    from appliance.mail.errors import SetupError

    settings = read(Path(words.settings)) if words.settings else Settings()
    if words.domain:
        settings = replace(settings, server=replace(settings.server, domain=words.domain))
    if words.listen:
        silent = dict.fromkeys(PROTOCOLS, ())
        settings = replace(settings, listen=ListenSettings(**{**silent, **parse_listen(words.listen)}))
    if words.plaintext_login:
        settings = replace(settings, accounts=replace(settings.accounts, plaintext_login=True))
    if bool(words.certificate) != bool(words.key):
        raise SetupError("A certificate and its key belong together.", "Give both --certificate and --key, or neither.")
    if words.certificate:
        settings = replace(settings, certificate=replace(settings.certificate, file=words.certificate, key=words.key))
    return settings


if __name__ == "__main__":
    sys.exit(main())
