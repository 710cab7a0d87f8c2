"""The table of commands: words, arguments and options of each, and the request it makes.

One row a command; help, parsing and requests follow from the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .serve import DATA_HELP, Parser, add_first_boot, add_serving


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command that is one request: its words, its arguments ("name" or "[name]") and how they become the request."""

    names: tuple[str, ...]
    text: str
    arguments: tuple[str, ...]
    """Names; [name] may be left out, name... is given once or more."""
    request: Callable[[Any], controls.Request]
    password: bool = False
    question: str = ""
    """The confirmation that is asked for unless --yes is given; may name arguments, as in %(address)s."""
    typed: str = ""
    """The argument to be typed as confirmation; "" for a plain yes."""
    options: tuple[tuple[str, dict[str, Any]], ...] = ()
    """(flags separated by "|", keyword arguments of `add_argument`)."""


WITH = ("--with", {"required": True, "dest": "account", "metavar": "ADDRESS", "help": "the other account, or anyone: all accounts"})


def role_of(options: Any) -> bool:
    """Whether --on or --off was given. Raises SetupError for neither or both."""
    if options.on == options.off:
        raise SetupError("Say what is to be.", "Add --on or --off.")
    return bool(options.on)


def _forwarding(options: Any) -> controls.Request:
    """Of what was given: show, ask, confirm or stop."""
    if options.stop:
        return controls.StopForwarding(options.address)
    if options.code:
        return controls.ConfirmForwarding(options.address, options.code)
    if options.target:
        return controls.AskForwarding(options.address, options.target, not options.no_copy)
    return controls.ShowForwarding(options.address)


ROWS: tuple[CommandRow, ...] = (
    CommandRow(("setup-code",), "show the setup code, with which the first account of a new server is made", (),
        lambda o: controls.ShowSetupCode()),
    CommandRow(("account", "add"), "add an account; without --password-file a password is generated", ("address",),
        lambda o: controls.AddAccount(o.address, o.password, o.quota_mb), password=True),
    CommandRow(("account", "list"), "list the accounts, with the space they use", (), lambda o: controls.ListAccounts()),
    CommandRow(("account", "remove"), "remove an account; its mail is kept for 30 days, `account restore` brings it back", ("address",),
        lambda o: controls.RemoveAccount(o.address, o.purge), typed="address",
        question=Sentence("This removes %(address)s: no messages arrive there and nobody can sign in. "
            "To keep a copy of the mail: pillarbox export %(address)s FOLDER."),
        options=(("--purge", {"action": "store_true", "help": "erase all mail at once, for good"}),)),
    CommandRow(("account", "restore"), "bring a removed account back, with its mail and passwords", ("address",),
        lambda o: controls.RestoreAccount(o.address)),
    CommandRow(("account", "set"), "change the quota or the name of an account", ("address",),
        lambda o: controls.SetAccount(o.address, -1 if o.quota_mb is None else o.quota_mb, o.name or "", o.name is not None),
        options=(
            ("--quota-mb|--quota", {"type": int, "dest": "quota_mb", "metavar": "N", "help": "space in MB; 0 for the server's default"}),
            ("--name", {"metavar": "TEXT", "help": "what the account is called in lists; empty for none"}),
        )),
    CommandRow(("account", "rename"), "give an account another address; the old one stays as an alias", ("address", "new"),
        lambda o: controls.RenameAccount(o.address, o.new)),
    CommandRow(("account", "forward"), "show or change where the messages of an account go besides", ("address", "[target]"),
        _forwarding, options=(
            ("--no-copy", {"action": "store_true", "help": "no copy stays in the account"}),
            ("--code", {"metavar": "CODE", "default": "", "help": "what was sent to the target: forwarding begins"}),
            ("--stop", {"action": "store_true", "help": "do not forward any more"}),
        )),
    CommandRow(("account", "disable"), "let nobody sign in; messages still arrive", ("address",),
        lambda o: controls.DisableAccount(o.address)),
    CommandRow(("account", "enable"), "let a disabled account sign in again", ("address",), lambda o: controls.EnableAccount(o.address)),
    CommandRow(("account", "admin"), "make an account an administrator (--on), or no longer one (--off)", ("address",),
        lambda o: controls.SetAdmin(o.address, role_of(o)),
        options=(
            ("--on", {"action": "store_true", "help": "it may administrate the server"}),
            ("--off", {"action": "store_true", "help": "it may not any more"}),
        )),
    CommandRow(("account", "password"), "set a new password", ("address",),
        lambda o: controls.SetPassword(o.address, o.password), password=True),
    CommandRow(("account", "remove-second-factor"), "switch the second factor of an account off, whose owner has lost it", ("address",),
        lambda o: controls.RemoveSecondFactor(o.address)),
    CommandRow(("account", "passkeys"), "list the passkeys of an account, and when each was last used", ("address",),
        lambda o: controls.ListPasskeys(o.address)),
    CommandRow(("account", "remove-passkey"), "remove a passkey, such as that of a lost phone", ("address", "name"),
        lambda o: controls.RemovePasskey(o.address, o.name)),
    CommandRow(("app-password", "add"), "add a password for one phone or program", ("address", "label"),
        lambda o: controls.AddAppPassword(o.address, o.label)),
    CommandRow(("app-password", "list"), "list the app passwords of an account, and when each was last used", ("address",),
        lambda o: controls.ListAppPasswords(o.address)),
    CommandRow(("app-password", "remove"), "remove an app password", ("address", "label"),
        lambda o: controls.RemoveAppPassword(o.address, o.label)),
    CommandRow(("alias", "add"), "deliver messages for ADDRESS to each TARGET; several make a group", ("address", "target..."),
        lambda o: controls.AddAlias(o.address, tuple(o.target))),
    CommandRow(("alias", "list"), "list all aliases", (), lambda o: controls.ListAliases()),
    CommandRow(("alias", "remove"), "remove an alias, or one target of it", ("address", "[target]"),
        lambda o: controls.RemoveAlias(o.address, o.target or "")),
    CommandRow(("domain", "add"), "accept messages for a domain", ("name",), lambda o: controls.AddDomain(o.name)),
    CommandRow(("domain", "list"), "list the domains", (), lambda o: controls.ListDomains()),
    CommandRow(("domain", "remove"), "accept no more messages for a domain", ("name",), lambda o: controls.RemoveDomain(o.name)),
    CommandRow(("domain", "records"), "show the DNS records to publish for a domain", ("[name]",),
        lambda o: controls.DomainRecords(o.name or "")),
    CommandRow(("domain", "check"), "check the published DNS records of a domain", ("[name]",),
        lambda o: controls.DomainCheck(o.name or "")),
    CommandRow(("domain", "catch-all"), "deliver messages for unknown names to ADDRESS; without ADDRESS refuse them", ("name", "[address]"),
        lambda o: controls.SetCatchAll(o.name, o.address or "")),
    CommandRow(("mailbox", "list"), "list the mailboxes of an account", ("address",), lambda o: controls.ListMailboxes(o.address)),
    CommandRow(("mailbox", "share"), "let another account see a mailbox of ADDRESS, as Shared/NAME", ("address", "name"),
        lambda o: controls.ShareMailbox(o.address, o.name, o.account, o.rights),
        options=(
            WITH,
            ("--rights", {"default": "read", "metavar": "RIGHTS", "help": "read (the default), write (mark, add, remove messages) or all"}),
        )),
    CommandRow(("mailbox", "unshare"), "take a mailbox of ADDRESS out of another account's sight", ("address", "name"),
        lambda o: controls.UnshareMailbox(o.address, o.name, o.account), options=(WITH,)),
    CommandRow(("mailbox", "shares"), "list what an account shares, and what is shared with it", ("address",),
        lambda o: controls.ListShares(o.address)),
    CommandRow(("certificate", "show"), "show the certificate in use", (), lambda o: controls.ShowCertificate()),
    CommandRow(("certificate", "renew"), "make a new certificate now; devices keep trusting it", (), lambda o: controls.RenewCertificate()),
    CommandRow(("certificate", "new-authority"), "make a new authority, which every device must then trust", (),
        lambda o: controls.NewAuthority(),
        question=Sentence("Every phone and computer refuses this server until it trusts the new authority. Make a new one?")),
    CommandRow(("queue", "list"), "list the messages in the queue", (), lambda o: controls.ListQueue()),
    CommandRow(("queue", "show"), "show one message in the queue in full", ("message",), lambda o: controls.ShowMessage(o.message)),
    CommandRow(("queue", "retry"), "try to send a message now", ("message",), lambda o: controls.RetryMessage(o.message)),
    CommandRow(("queue", "hold"), "hold a message until it is released", ("message",), lambda o: controls.HoldMessage(o.message)),
    CommandRow(("queue", "release"), "release a held message", ("message",), lambda o: controls.ReleaseMessage(o.message)),
    CommandRow(("queue", "reroute"), "send a message by another route: ROUTE is direct or a relay's name", ("message", "route"),
        lambda o: controls.RerouteMessage(o.message, o.route)),
    CommandRow(("queue", "cancel"), "cancel a message: it is not sent", ("message",), lambda o: controls.CancelMessage(o.message)),
    CommandRow(("queue", "flush"), "try to send every message in the queue now", (), lambda o: controls.FlushQueue()),
    CommandRow(("message", "track"), "show what became of a message, step by step; with an address or nothing: messages that were refused",
        ("[message]",), lambda o: controls.TrackMessage(o.message or "")),
    CommandRow(("network", "check"), "connect to every listener and relay, and check outbound connectivity", (),
        lambda o: controls.CheckNetwork()),
    CommandRow(("status",), "show the state of the server", (), lambda o: controls.Status()),
)  # fmt: skip


CHECK_HELP = "show only what needs attention; exit status 0 all is well, 1 a warning, 2 critical or unusable, 3 not running"

EXIT_HELP = (
    "Exit status: 0 done; 1 failed, try again later; 2 wrong input or settings, nothing was changed; 3 no server is running. "
    "With --json a failure is an object on standard output: error, remedy, exit_status."
)

INSTALL_HELP = "Makes the server a systemd service with a user and a data directory of its own. Tells what it will do before it does it."
UNINSTALL_HELP = "Removes what `pillarbox install` made. Mail, settings and user stay unless --purge is given."

NOUNS = {
    "account": "accounts and their passwords",
    "app-password": "passwords for single phones or programs",
    "alias": "further addresses of accounts, and groups",
    "domain": "the domains the server accepts messages for",
    "mailbox": "the mailboxes of an account, and whom it shares them with",
    "queue": "outgoing messages that are not sent yet",
    "message": "the history of messages",
    "certificate": "the certificate that phones and computers trust",
    "network": "listeners and outbound connectivity",
    "panel": "LEDs and button",
    "settings": "the settings file",
}
"""The help of each group of commands."""


def parser() -> Parser:
    """The whole grammar of the command."""
    where = Parser(add_help=False)
    where.add_argument("--data", metavar="DIR", default=None, help=DATA_HELP)
    common = Parser(add_help=False, parents=[where])
    common.add_argument("--json", action="store_true", help="print JSON, for programs")
    top = Parser(prog="pillarbox", description="The mail server for a home.", epilog=EXIT_HELP)
    top.add_argument("--version", action="store_true", help="print the version")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", parser_class=Parser)
    add_serving(verbs)
    _add_special(verbs, _add_rows(verbs, common), where, common)
    return top


def _add_rows(verbs: Any, common: Parser) -> dict[str, Any]:
    """The commands of ROWS; the groups they stand in."""
    groups: dict[str, Any] = {}
    for row in ROWS:
        if len(row.names) == 1:
            made = verbs.add_parser(row.names[0], help=row.text, description=_sentence(row.text), parents=[common])
        else:
            noun, verb = row.names
            if noun not in groups:
                actions = [r.names[1] for r in ROWS if r.names[0] == noun] + ["export"] * (noun == "certificate")
                group = verbs.add_parser(noun, help=f"{NOUNS[noun]}: {', '.join(actions)}", description=f"{NOUNS[noun].capitalize()}.")
                groups[noun] = group.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
            made = groups[noun].add_parser(verb, help=row.text, description=_sentence(row.text), parents=[common])
        for argument in row.arguments:
            name = argument.strip("[].")
            count = "?" if argument[0] == "[" else "+" if argument[-1] == "." else None
            made.add_argument(name, metavar=name.upper(), nargs=count)
        if row.names == ("status",):
            made.add_argument("--check", action="store_true", help=CHECK_HELP)
            made.epilog = "Exit status without --check: 0 when the server answered, 3 when none is running."
        for flags, keywords in row.options:
            made.add_argument(*flags.split("|"), **keywords)
        if row.question:
            made.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        if row.password:
            made.add_argument("--password-file", metavar="FILE", help="a file whose first line is the password; - for standard input")
        if row.names == ("account", "add"):
            made.add_argument("--quota-mb", type=int, default=0, metavar="N", help="space in MB; 0 for the server's default")
        made.set_defaults(row=row)
    return groups


def _add_special(verbs: Any, groups: dict[str, Any], where: Parser, common: Parser) -> None:
    """The commands that are not one request."""
    export = groups["certificate"].add_parser(
        "export",
        help="write the server's authority, for devices to trust",
        description="Writes the authority in PEM form.",
        parents=[common],
    )
    export.add_argument("--out", metavar="FILE", default="-", help="where to write (default: standard output)")
    export.set_defaults(special="certificate export")
    console = verbs.add_parser(
        "console", help="the serial console's screens on this terminal; through a pipe only the first", parents=[where]
    )
    console.set_defaults(special="console")
    panel = verbs.add_parser("panel", help=f"{NOUNS['panel']}: on this terminal, or their meanings as a card", parents=[where])
    panel.add_argument("--simulate", action="store_true", help="show LEDs and button of the running server on this terminal")
    panel.add_argument("--card", metavar="FILE", default="", help="write the card of LED meanings, to print: FILE.pdf or FILE.svg")
    panel.set_defaults(special="panel")
    purpose = "verify everything stored and report damage"
    status = "Exit status: 0 no damage, 1 something is damaged, 2 there is nothing to check or it cannot be read."
    look = verbs.add_parser("check", help=purpose, description=f"{purpose.capitalize()}. {status}", parents=[common])
    look.set_defaults(special="check")
    _moving(verbs, common)
    _add_system(verbs)
    group = verbs.add_parser("settings", help=f"{NOUNS['settings']}: example, check", description="The settings file.")
    settings = group.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    settings.add_parser("example", help="print a commented settings file with every default").set_defaults(special="settings example")
    check = settings.add_parser("check", help="report every fault of a settings file")
    check.add_argument("file", metavar="FILE")
    check.add_argument("--boot", action="store_true", help="it is the file on a card's boot partition, with the section [box]")
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.set_defaults(special="settings check")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _moving(verbs: Any, common: Parser) -> None:
    take = verbs.add_parser("import", help="import messages from an mbox file or a Maildir", parents=[common])
    take.add_argument("address", metavar="ADDRESS")
    take.add_argument("source", metavar="SOURCE", help="an mbox file or a Maildir directory")
    where = "put all of them here (default: the source's own folders, or one named like the file)"
    take.add_argument("--mailbox", default="", metavar="NAME", help=where)
    take.add_argument("--again", action="store_true", help="start from the beginning although this source was imported before")
    take.set_defaults(special="import")
    give = verbs.add_parser("export", help="export messages as mbox files or a Maildir", parents=[common])
    give.add_argument("address", metavar="ADDRESS", nargs="?", help="the account; left out with --all")
    give.add_argument("target", metavar="TARGET", nargs="?", help="a new directory, or a new mbox file with --mailbox and --format mbox")
    give.add_argument("--all", action="store_true", help="all accounts, each in a directory below TARGET")
    give.add_argument("--mailbox", default="", metavar="NAME", help="export only this mailbox")
    give.add_argument("--format", choices=("maildir", "mbox"), default="maildir", help="the format (default: maildir)")
    give.set_defaults(special="export")


def _add_system(verbs: Any) -> None:
    """Commands about the operating system around the server; root's."""
    install = verbs.add_parser("install", help="make the server a service of this machine (root)", description=INSTALL_HELP)
    install.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    install.set_defaults(special="install")
    remove = verbs.add_parser("uninstall", help="take the service away again; the mail stays (root)", description=UNINSTALL_HELP)
    remove.add_argument("--purge", action="store_true", help="erase all mail, the settings and the user too")
    remove.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    remove.set_defaults(special="uninstall")
    add_first_boot(verbs)
