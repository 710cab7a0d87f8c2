"""The nine screens: what each needs from the server, and its keys. A new key is a new row in its screen's table.

What cannot be taken back asks through `Dialogue.sure`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.status.snapshot import Snapshot

from . import screens, screens_facts, screens_lists
from .screens_lists import ListGroup, ListItem
from .screens_text import TextLine, line, room
from .view import KeyAction, ListView, ScrollView, View

if TYPE_CHECKING:
    from .dialogue import Dialogue

TURNED = (
    ("up", "down"), ("down", "up"), ("page up", "page down"), ("page down", "page up"), ("home", "end"), ("end", "home"),
    ("k", "j"), ("j", "k"),
)  # fmt: skip
"""A log is looked at from its end."""


def _timeline(d: "Dialogue", item: ListItem) -> None:
    if item.message:
        d.request(controls.TrackMessage(item.message), lambda answer: d.show(f"Message {item.message}", answer.text))
    else:
        d.show("Refused at the door", item.detail)


class OverviewView(View):
    name = screens.NAMES[0]

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        return screens.overview(s, d.keeper.notice)

    @staticmethod
    def _health(d: "Dialogue", item: object) -> None:
        s = d.board.snapshot()
        d.show("Health", "\n".join(row.text for row in [*screens.health(s), *screens.watched(s)]))

    actions = (KeyAction("h", "all that needs you", lambda d, item: OverviewView._health(d, item)),)


class QueueView(ListView):
    name = screens.NAMES[1]
    needs = controls.ListQueue()

    def watched(self, s: Snapshot) -> object:
        q = s.queue
        newest = s.attempts[0] if s.attempts else None
        return q.waiting, q.held, q.trying, q.stuck, s.messages_sent, s.messages_failed, newest

    def groups(self, s: Snapshot) -> list[ListGroup]:
        return screens_lists.queue_groups(self.answer.facts if self.answer else {}, s)

    @staticmethod
    def _hold(d: "Dialogue", item: ListItem) -> None:
        d.request(controls.ReleaseMessage(item.key) if item.held else controls.HoldMessage(item.key))

    @staticmethod
    def _cancel(d: "Dialogue", item: ListItem) -> None:
        d.sure(f"Call back {item.about}? It will not be sent.", lambda: d.request(controls.CancelMessage(item.key)))

    @staticmethod
    def _reroute(d: "Dialogue", item: ListItem) -> None:
        def then(route: str) -> None:
            if route.strip():
                d.request(controls.RerouteMessage(item.key, route.strip()))

        d.ask('Send it another way ("direct", or a relay\'s name):', then)

    actions = (
        KeyAction("enter", "timeline", _timeline, item=True),
        KeyAction("r", "retry", lambda d, item: d.request(controls.RetryMessage(item.key)), changes=True, item=True),
        KeyAction("h", "hold/go", lambda d, item: QueueView._hold(d, item), changes=True, item=True),
        KeyAction("c", "cancel", lambda d, item: QueueView._cancel(d, item), changes=True, item=True),
        KeyAction("w", "route", lambda d, item: QueueView._reroute(d, item), changes=True, item=True),
        KeyAction("f", "try all", lambda d, item: d.request(controls.FlushQueue()), changes=True),
    )


class MessagesView(ListView):
    name = screens.NAMES[2]

    def groups(self, s: Snapshot) -> list[ListGroup]:
        return screens_lists.message_groups(s)

    actions = (KeyAction("enter", "what became of it", _timeline, item=True),)


class AccountsView(ListView):
    name = screens.NAMES[3]
    needs = controls.ListAccounts()

    def watched(self, s: Snapshot) -> object:
        return s.accounts, s.domains

    def groups(self, s: Snapshot) -> list[ListGroup]:
        return screens_lists.accounts_groups(self.answer.facts if self.answer else {}, s)

    @staticmethod
    def _add(d: "Dialogue", item: object) -> None:
        def then(address: str) -> None:
            if address.strip():
                ask_password(lambda password: d.request(controls.AddAccount(address.strip(), password)))

        def ask_password(use: Callable[[str], None]) -> None:
            d.ask("Password (nothing: one is made):", use, hidden=True)

        d.ask("Address of the new person:", then)

    @staticmethod
    def _password(d: "Dialogue", item: ListItem) -> None:
        def then(password: str) -> None:
            d.sure(f"Give {item.key} this password? The old one ends.", lambda: d.request(controls.SetPassword(item.key, password)))

        d.ask(f"New password for {item.key} (nothing: one is made):", then, hidden=True)

    @staticmethod
    def _app(d: "Dialogue", item: ListItem) -> None:
        def then(label: str) -> None:
            if label.strip():
                d.request(controls.AddAppPassword(item.key, label.strip()))

        d.ask("What is it for (phone, laptop, ...):", then)

    actions = (
        KeyAction("a", "add", lambda d, item: AccountsView._add(d, item), changes=True),
        KeyAction("p", "password", lambda d, item: AccountsView._password(d, item), changes=True, item=True),
        KeyAction("w", "app password", lambda d, item: AccountsView._app(d, item), changes=True, item=True),
    )


class NetworkView(ScrollView):
    name = screens.NAMES[4]

    def length(self, d: "Dialogue") -> int:
        return len(screens_facts.network(d.board.snapshot()))

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        rows = screens_facts.network(s)
        return rows[min(self.offset, max(0, len(rows) - room())) :]

    actions = (
        KeyAction(
            "c",
            "check the doors and the way out",
            lambda d, item: d.request(controls.CheckNetwork(), lambda answer: d.show("Check of the network", answer.text)),
        ),
    )


class DomainView(ListView):
    name = screens.NAMES[5]
    needs = controls.ListDomains()

    def watched(self, s: Snapshot) -> object:
        return s.domains

    def groups(self, s: Snapshot) -> list[ListGroup]:
        return screens_lists.domain_groups(self.answer.facts if self.answer else {})

    actions = (
        KeyAction(
            "enter",
            "records to publish",
            lambda d, item: d.request(controls.DomainRecords(item.key), lambda answer: d.show(f"Records of {item.key}", answer.text)),
            item=True,
        ),
        KeyAction(
            "c",
            "check them",
            lambda d, item: d.request(controls.DomainCheck(item.key), lambda answer: d.show(f"Check of {item.key}", answer.text)),
            item=True,
        ),
    )


class CertificatesView(ScrollView):
    name = screens.NAMES[6]
    needs = controls.ShowCertificate()

    def watched(self, s: Snapshot) -> object:
        return s.certificate

    def _lines(self, s: Snapshot) -> list[str]:
        return screens_facts.certificates(s, self.wanting or (self.answer.text if self.answer else ""))

    def length(self, d: "Dialogue") -> int:
        return len(self._lines(d.board.snapshot()))

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        return screens.text_body(self._lines(s), self.offset)

    @staticmethod
    def _renew(d: "Dialogue", item: object) -> None:
        d.sure("Make a new certificate now? Devices go on trusting it.", lambda: d.request(controls.RenewCertificate()))

    @staticmethod
    def _new_authority(d: "Dialogue", item: object) -> None:
        d.sure("Every device must then trust the new authority. Make it?", lambda: d.request(controls.NewAuthority()))

    actions = (
        KeyAction("e", "authority for devices", lambda d, item: d.request(controls.ExportCertificate())),
        KeyAction("n", "new certificate", lambda d, item: CertificatesView._renew(d, item), changes=True),
        KeyAction("a", "new authority", lambda d, item: CertificatesView._new_authority(d, item), changes=True),
    )


class LogsView(ScrollView):
    """`offset` counts lines up from the newest; a log that grows while somebody looks back stays where they look."""

    name = screens.NAMES[7]
    needs = controls.ReadLog()

    def __init__(self) -> None:
        super().__init__()
        self.side = 0
        self._lines: list[str] = []

    def watched(self, s: Snapshot) -> object:
        return s.version

    def enter(self) -> None:
        self.offset = self.side = 0

    def length(self, d: "Dialogue") -> int:
        return len(self._lines)

    def take(self, answer: Response) -> None:
        super().take(answer)
        before, self._lines = self._lines, list(answer.facts.get("lines", ()))
        if self.offset and before and before[-1] in self._lines:
            new = self._lines[::-1].index(before[-1])
            self.offset = min(self.offset + new, max(0, len(self._lines) - room()))

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        if self.wanting:
            return [line(self.wanting)]
        return screens_facts.logs(self._lines, self.offset, self.side)

    def press(self, d: "Dialogue", key: str) -> bool:
        if key in ("left", "right"):
            self.side = min(max(0, self.side + (screens_facts.SIDE if key == "right" else -screens_facts.SIDE)), 400)
            return True
        return super().press(d, next((other for one, other in TURNED if one == key), key))

    def hint(self, d: "Dialogue") -> str:
        return "Up Down older, newer  Left Right along the lines  End newest  ? help"


class PowerView(View):
    name = screens.NAMES[8]

    def body(self, s: Snapshot, d: "Dialogue") -> list[TextLine]:
        return screens.power(s)

    @staticmethod
    def _close(d: "Dialogue", question: str, request: controls.Request) -> None:
        d.sure(question, lambda: d.request(request))

    actions = (
        KeyAction("s", "shut down", lambda d, item: PowerView._close(d, "Close the server?", controls.ShutDown()), changes=True),
        KeyAction("b", "begin again", lambda d, item: PowerView._close(d, "Close it and begin again?", controls.Restart()), changes=True),
    )


def make_views() -> tuple[View, ...]:
    """In the order of their digits."""
    return (
        OverviewView(),
        QueueView(),
        MessagesView(),
        AccountsView(),
        NetworkView(),
        DomainView(),
        CertificatesView(),
        LogsView(),
        PowerView(),
    )
