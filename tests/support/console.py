"""For the console tests: a board with the events of a day, and the responses of a server."""

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from appliance.control import requests as controls
from appliance.control.requests import Request, Response
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence, parts_of
from appliance.panel.dialogue import Dialogue
from appliance.panel.ports import AccessGuard, AdminGrant, SignInStep
from appliance.panel.screens_text import Picture
from appliance.status import events as e
from appliance.status.board import Board

from .clock import HandClock

ADMIN = "open sesame"
BOX = e.HostState("mail.home.example", ("192.168.1.5", "2001:db8::5"), 45_200_000, 47.2, 5_200_000)
LOG = tuple(
    f"2026-12-01T00:{n // 60:02d}:{n % 60:02d}Z session closed protocol=imaps peer=192.168.1.{n} took={n}.000s octets_in={n * 7}"
    for n in range(90)
)
LISTENING_SOCKETS = (("smtp", "0.0.0.0", 25), ("submissions", "0.0.0.0", 465), ("imaps", "0.0.0.0", 993), ("imaps", "::", 993))
UNLOCKED = AccessGuard(None)
OUTBOUND = Sentence(
    "Messages are sent through the relay %(relay)s; direct sending is blocked by your internet provider (port 25).", relay="friend"
)
SILENT = Sentence("%(host)s did not answer.", host="mx.slow.example")
UNKNOWN = Sentence("This address does not exist here any more.")


async def picture_after(dialogue: Dialogue, *keys: str) -> Picture:
    """What the console shows after keys, each pressed when the one before was answered and its picture seen."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dialogue.work)
        for key in keys:
            dialogue.press(key)
            dialogue.picture()
            await wait_all_tasks_blocked()
            dialogue.seen(dialogue.question)
        picture = dialogue.picture()
        nursery.cancel_scope.cancel()
    return picture


def busy_board(clock: HandClock | None = None) -> Board:
    """A server in the middle of its day."""
    clock = clock or HandClock()
    board = Board(clock)
    publish = board.publish
    for event in (
        e.ServerState("ready"),
        e.AccountsState(2, ("home.example",)),
        *(e.ListenerUp(*listening_socket) for listening_socket in LISTENING_SOCKETS),
        e.ListenerDown("pop3s", "0.0.0.0", 995, "the address is in use"),
        BOX,
        e.StorageState(12_100_000_000, 31_000_000_000, 2_040_000_000),
        e.CertificateState(("mail.home.example",), int(clock.wall_s()) + 90 * 86_400, "server"),
        e.OutboundState("blocked", "relay friend", OUTBOUND),
        e.SessionOpened("imaps", "192.168.1.20"),
        e.SessionOpened("imaps", "192.168.1.21"),
        e.SessionOpened("smtp", "192.0.2.7"),
        e.SessionClosed("smtp", "192.0.2.7", "", 14_000, 900, 1.5),
        e.LoginFailed("imaps", "198.51.100.9", "root", "PLAIN"),
    ):
        publish(event)
    for n in range(8):
        clock.forward(60)
        publish(e.MessageAccepted("smtp", f"192.0.2.{n}", f"friend{n}@far.example", 1, 12_345 + n, 0.02, f"K3F{n}"))
    publish(e.MessageSent("M7A1", "far.example", "mx.far.example", 1, 2000, "TLSv1.3", 1.0))
    publish(e.MessageDelayed("M7A2", "slow.example", 1, SILENT, 900.0))
    publish(e.MessageFailed("M7A0", "gone.example", 1, UNKNOWN))
    publish(e.MessageRefused("smtp", "203.0.113.4", "x@spam.example", "nobody@home.example", "550 5.1.1 Nobody here has that address."))
    publish(e.QueueState(3, 1, 0, 1, 2, 7200.0, 300.0))
    clock.forward(120)
    return board


def queue_rows(count: int = 3, at: int = 1_796_076_000) -> list[dict[str, Any]]:
    return [
        {
            "id": 40 + n,
            "message": f"M7A{n}",
            "destination": "slow.example",
            "state": "held" if n == 1 else "deferred",
            "sender": "ada@home.example",
            "recipients": [
                {
                    "address": f"bob{n}@slow.example",
                    "status": "4.4.1",
                    "reason": "unreachable",
                    "text": SILENT,
                    "text_parts": parts_of(SILENT),
                    "host": "mx.slow.example",
                    "reply": "421 4.3.2 try later" if n == 2 else "",
                }
            ],
            "octets": 12_000 * (n + 1),
            "accepted_at": at,
            "release_at": 0,
            "due_at": at + 7800,
            "attempts": n,
            "waited_s": 7200,
        }
        for n in range(count)
    ]


class ServerAnswers:
    """Responses in the form of the admin API; the requests are in `asked`."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.rows = queue_rows()
        self.log = LOG
        self.accounts = ["ada@home.example", "ben@home.example"]

    def changes(self) -> list[Request]:
        lists = controls.ListQueue | controls.ListAccounts | controls.ListDomains | controls.ShowCertificate | controls.ReadLog
        looks = controls.TrackMessage | controls.DomainRecords | controls.DomainCheck | controls.CheckNetwork
        return [one for one in self.asked if not isinstance(one, lists | looks)]

    async def ask(self, request: Request) -> Response:
        self.asked.append(request)
        match request:
            case controls.ListQueue():
                return Response("", {"messages": self.rows})
            case controls.ListAccounts():
                facts = {"octets": 3_400_000, "quota_octets": 10**9, "added_at": 1_790_000_000}
                rows = [{"address": one, **facts, "admin": one == self.accounts[0]} for one in self.accounts]
                return Response("", {"accounts": rows})
            case controls.ListDomains():
                return Response("", {"domains": [{"name": "home.example", "catch_all": None}]})
            case controls.ReadLog(since):
                return Response("", {"lines": list(self.log[since:]), "count": len(self.log)})
            case controls.DomainRecords(name):
                return Response(f'{name}. MX 10 mail.{name}.\n{name}. TXT "v=spf1 mx -all"', {})
            case controls.ShowCertificate():
                return Response("The certificate of mail.home.example\nSHA-256 AB:CD:EF", {"text": ""})
            case controls.TrackMessage(word):
                return Response(f"The message {word}:\n2026-12-01 00:01:00 UTC  accepted from ada@home.example for bob@slow.example", {})
            case controls.AddAccount(address, password):
                if "@" not in address:
                    raise SetupError(f'"{address}" is no address.', "Write it as NAME@DOMAIN.")
                self.accounts.append(address)
                facts = {} if password else {"password": "maple-otter-seven"}
                said = "\nPassword: maple-otter-seven   (shown this once; keep it)" if facts else ""
                return Response(f"{address} was added.{said}", facts)
            case controls.SetPassword(address):
                return Response(f"{address} has a new password.", {})
            case controls.CancelMessage(word):
                self.rows = [row for row in self.rows if str(row["id"]) != word]
                return Response(f"The message {word} is cancelled.", {})
        return Response("Done.", {})


class GrantOf:
    """Of whoever knew a password of `admin`."""

    def __init__(self, admin: "AdminOf") -> None:
        self.admin, self.password = admin, admin.password

    def holds(self) -> bool:
        return self.admin.is_admin and self.admin.password == self.password


class AdminOf:
    """A server's administrator, and a password for one use."""

    def __init__(self, password: str = ADMIN, one_time: str = "") -> None:
        self.password, self.one_time = password, one_time
        self.is_admin = True

    @property
    def notice(self) -> str:
        return f"One-time password: {self.one_time}" if self.one_time else ""

    def begin(self) -> SignInStep | str:
        if not self.password and not self.one_time:
            return "No account is an administrator yet: pillarbox account admin ADDRESS --on"
        return SignInStep("One-time password:" if self.one_time else "Password of ada@home.example:", self.check)

    async def check(self, password: str) -> SignInStep | AdminGrant | str:
        if password and password in (self.password, self.one_time):
            return GrantOf(self)
        return "The address or the password is wrong."


def locked() -> AccessGuard:
    return AccessGuard(AdminOf())
