"""The words of the command: what can be typed, and the request each makes.

One row a command; help, parsing and requests follow from the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.control import requests as controls

from .serve import DATA_HELP, Parser, add_serving


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command that is one request: its words, its arguments ("name" or "[name]") and how they become the request."""

    words: tuple[str, ...]
    text: str
    arguments: tuple[str, ...]
    request: Callable[[Any], controls.Request]
    password: bool = False
    question: str = ""
    """What is asked before it is done, unless --yes is given; may name arguments, as in {address}."""
    typed: str = ""
    """The argument that is to be typed again; "" for a plain yes."""
    options: tuple[tuple[str, dict[str, Any]], ...] = ()
    """(words separated by "|", keywords of `add_argument`)."""


ROWS: tuple[CommandRow, ...] = (
    CommandRow(("account", "add"), "add a person; without a password file one is generated", ("address",),
        lambda o: controls.AddAccount(o.address, o.password, o.quota_mb), password=True),
    CommandRow(("account", "list"), "everybody, with the space they use", (), lambda o: controls.ListAccounts()),
    CommandRow(("account", "remove"), "remove an account; its mail is kept for 30 days, and `account restore` takes all back", ("address",),
        lambda o: controls.RemoveAccount(o.address, o.purge), typed="address",
        question="This removes {address}: nothing arrives there and nobody signs in any more. "
        "To keep a copy of the mail: pillarbox export {address} FOLDER.",
        options=(("--purge", {"action": "store_true", "help": "erase all mail at once, for good"}),)),
    CommandRow(("account", "restore"), "take a removed account back, with its mail and passwords", ("address",),
        lambda o: controls.RestoreAccount(o.address)),
    CommandRow(("account", "set"), "change the quota or the name of an account", ("address",),
        lambda o: controls.SetAccount(o.address, -1 if o.quota_mb is None else o.quota_mb, o.name or "", o.name is not None),
        options=(
            ("--quota-mb|--quota", {"type": int, "dest": "quota_mb", "metavar": "N", "help": "space in MB; 0 for the server's default"}),
            ("--name", {"metavar": "TEXT", "help": "what the account is called in lists; empty for none"}),
        )),
    CommandRow(("account", "rename"), "give an account another address; the old one stays as an alias", ("address", "new"),
        lambda o: controls.RenameAccount(o.address, o.new)),
    CommandRow(("account", "disable"), "let nobody sign in; messages go on arriving", ("address",), lambda o: controls.DisableAccount(o.address)),
    CommandRow(("account", "enable"), "let a disabled account sign in again", ("address",), lambda o: controls.EnableAccount(o.address)),
    CommandRow(("account", "password"), "set a new password", ("address",), lambda o: controls.SetPassword(o.address, o.password), password=True),
    CommandRow(("app-password", "add"), "a password of its own for one program", ("address", "label"),
        lambda o: controls.AddAppPassword(o.address, o.label)),
    CommandRow(("app-password", "list"), "a person's app passwords", ("address",), lambda o: controls.ListAppPasswords(o.address)),
    CommandRow(("app-password", "remove"), "take a program's password back", ("address", "label"),
        lambda o: controls.RemoveAppPassword(o.address, o.label)),
    CommandRow(("alias", "add"), "messages to ADDRESS go to TARGET; several targets make a group", ("address", "target"),
        lambda o: controls.AddAlias(o.address, o.target)),
    CommandRow(("alias", "list"), "all aliases", (), lambda o: controls.ListAliases()),
    CommandRow(("alias", "remove"), "remove an alias, or one target of it", ("address", "[target]"),
        lambda o: controls.RemoveAlias(o.address, o.target or "")),
    CommandRow(("domain", "add"), "take messages for a domain", ("name",), lambda o: controls.AddDomain(o.name)),
    CommandRow(("domain", "list"), "the server's domains", (), lambda o: controls.ListDomains()),
    CommandRow(("domain", "remove"), "take no more messages for a domain", ("name",), lambda o: controls.RemoveDomain(o.name)),
    CommandRow(("domain", "records"), "what to publish in the DNS for a domain", ("[name]",), lambda o: controls.DomainRecords(o.name or "")),
    CommandRow(("domain", "check"), "whether it is published, and right", ("[name]",), lambda o: controls.DomainCheck(o.name or "")),
    CommandRow(("domain", "catch-all"), "messages to unknown names go to ADDRESS; none to refuse them", ("name", "[address]"),
        lambda o: controls.SetCatchAll(o.name, o.address or "")),
    CommandRow(("mailbox", "list"), "a person's mailboxes", ("address",), lambda o: controls.ListMailboxes(o.address)),
    CommandRow(("certificate", "show"), "the certificate being used", (), lambda o: controls.ShowCertificate()),
    CommandRow(("certificate", "renew"), "make a new certificate now; devices go on trusting it", (), lambda o: controls.RenewCertificate()),
    CommandRow(("certificate", "new-authority"), "make a new authority, which every device must then trust", (),
        lambda o: controls.NewAuthority(),
        question="Every phone and computer refuses this server until it trusts the new authority. Make a new one?"),
    CommandRow(("queue", "list"), "every message that waits to leave", (), lambda o: controls.ListQueue()),
    CommandRow(("queue", "show"), "one of them, with all that is known", ("message",), lambda o: controls.ShowMessage(o.message)),
    CommandRow(("queue", "retry"), "try it now", ("message",), lambda o: controls.RetryMessage(o.message)),
    CommandRow(("queue", "hold"), "keep it back until it is released", ("message",), lambda o: controls.HoldMessage(o.message)),
    CommandRow(("queue", "release"), "let it go on", ("message",), lambda o: controls.ReleaseMessage(o.message)),
    CommandRow(("queue", "reroute"), "send it another way: ROUTE is direct or a relay's name", ("message", "route"),
        lambda o: controls.RerouteMessage(o.message, o.route)),
    CommandRow(("queue", "cancel"), "call it back", ("message",), lambda o: controls.CancelMessage(o.message)),
    CommandRow(("queue", "flush"), "try everything that waits now", (), lambda o: controls.FlushQueue()),
    CommandRow(("message", "track"), "what became of a message, step by step; an address or nothing: messages refused at the door",
        ("[letter]",), lambda o: controls.TrackMessage(o.message or "")),
    CommandRow(("admin", "password"), "set what the serial console asks before it changes anything", (),
        lambda o: controls.SetAdminPassword(o.password), password=True),
    CommandRow(("network", "check"), "knock at every door of the server, and look whether messages get out", (), lambda o: controls.CheckNetwork()),
    CommandRow(("status",), "how the server is", (), lambda o: controls.Status()),
)  # fmt: skip


CHECK_HELP = "only what needs attention; exit status 0 all is well, 1 a warning, 2 critical, 3 not running"

EXIT_HELP = (
    "Exit status: 0 done; 1 it could not be done now; 2 wrong input or settings, nothing was changed; 3 no server is running. "
    "With --json a failure is an object on standard output: error, remedy, exit_status."
)

NOUNS = {
    "account": "the people of the server",
    "app-password": "a password of its own for one phone or program",
    "alias": "other names for people, and groups",
    "domain": "the domains the server takes messages for",
    "mailbox": "a person's mailboxes",
    "queue": "messages that wait to leave the server",
    "message": "what became of messages",
    "certificate": "what phones and computers know the server by",
    "network": "the doors of the server, and the way out",
    "admin": "the admin password of the serial console",
    "panel": "LEDs and button",
    "settings": "the settings file",
}
"""What each group of commands is about."""


def parser() -> Parser:
    """The whole grammar of the command."""
    where = Parser(add_help=False)
    where.add_argument("--data", metavar="DIR", default=None, help=DATA_HELP)
    common = Parser(add_help=False, parents=[where])
    common.add_argument("--json", action="store_true", help="answer for programs")
    top = Parser(prog="pillarbox", description="The mail server for a home.", epilog=EXIT_HELP)
    top.add_argument("--version", action="store_true", help="say which version this is")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", parser_class=Parser)
    add_serving(verbs)
    groups: dict[str, Any] = {}
    for row in ROWS:
        if len(row.words) == 1:
            made = verbs.add_parser(row.words[0], help=row.text, description=row.text, parents=[common])
        else:
            noun, verb = row.words
            if noun not in groups:
                actions = [r.words[1] for r in ROWS if r.words[0] == noun] + ["export"] * (noun == "certificate")
                group = verbs.add_parser(noun, help=f"{NOUNS[noun]}: {', '.join(actions)}", description=f"{NOUNS[noun].capitalize()}.")
                groups[noun] = group.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
            made = groups[noun].add_parser(verb, help=row.text, description=row.text, parents=[common])
        for argument in row.arguments:
            name = argument.strip("[]")
            made.add_argument(name, metavar=name.upper(), nargs="?" if argument != name else None)
        if row.words == ("status",):
            made.add_argument("--check", action="store_true", help=CHECK_HELP)
            made.epilog = "Exit status without --check: 0 when the server answered, 3 when none is running."
        for flags, keywords in row.options:
            made.add_argument(*flags.split("|"), **keywords)
        if row.question:
            made.add_argument("--yes", action="store_true", help="do not ask first")
        if row.password:
            made.add_argument("--password-file", metavar="FILE", help="its first line is the password; - reads standard input")
        if row.words == ("account", "add"):
            made.add_argument("--quota-mb", type=int, default=0, metavar="N", help="space in MB; 0 for the server's default")
        made.set_defaults(row=row)
    export = groups["certificate"].add_parser(
        "export", help="the server's authority, for devices to trust", description="Writes the authority in PEM form.", parents=[common]
    )
    export.add_argument("--out", metavar="FILE", default="-", help="where to write (default: standard output)")
    export.set_defaults(special="certificate export")
    console = verbs.add_parser("console", help="the whole box on this terminal, live; through a pipe its first screen", parents=[where])
    console.set_defaults(special="console")
    panel = verbs.add_parser("panel", help=f"{NOUNS['panel']}: in this terminal, or what they mean as a card", parents=[where])
    panel.add_argument("--simulate", action="store_true", help="show LEDs and button here, beside the log of the running server")
    panel.add_argument("--card", metavar="FILE", default="", help="write the card of meanings, to print: FILE.pdf or FILE.svg")
    panel.set_defaults(special="panel")
    said = "read all that is stored and say what is wrong"
    status = "Exit status: 0 all is well, 1 something is damaged, 2 there is nothing to check or it may not be read."
    look = verbs.add_parser("check", help=said, description=f"{said.capitalize()}. {status}", parents=[common])
    look.set_defaults(special="check")
    _moving(verbs, common)
    group = verbs.add_parser("settings", help=f"{NOUNS['settings']}: example, check", description="The settings file.")
    settings = group.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    settings.add_parser("example", help="a commented settings file with every default").set_defaults(special="settings example")
    check = settings.add_parser("check", help="say all that is wrong in a settings file")
    check.add_argument("file", metavar="FILE")
    check.add_argument("--json", action="store_true", help="answer for programs")
    check.set_defaults(special="settings check")
    return top


def _moving(verbs: Any, common: Parser) -> None:
    take = verbs.add_parser("import", help="bring in messages from an mbox file or a Maildir", parents=[common])
    take.add_argument("address", metavar="ADDRESS")
    take.add_argument("source", metavar="SOURCE", help="an mbox file or a Maildir directory")
    where = "put all of them here (default: the source's own folders, or one named like the file)"
    take.add_argument("--mailbox", default="", metavar="NAME", help=where)
    take.add_argument("--again", action="store_true", help="begin anew although this source was imported before")
    take.set_defaults(special="import")
    give = verbs.add_parser("export", help="write messages out as mbox files or a Maildir", parents=[common])
    give.add_argument("address", metavar="ADDRESS", nargs="?", help="whose mail; nobody's with --all")
    give.add_argument("target", metavar="TARGET", nargs="?", help="a directory that is made, or an mbox file with --mailbox")
    give.add_argument("--all", action="store_true", help="everybody's mail, a directory below TARGET for each address")
    give.add_argument("--mailbox", default="", metavar="NAME", help="only this mailbox")
    give.add_argument("--form", choices=("maildir", "mbox"), default="maildir", help="the form written (default: maildir)")
    give.set_defaults(special="export")
