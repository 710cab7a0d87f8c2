"""The nine screens: what each needs from the server, and its keys. A new key is a new row in its screen's table.

What cannot be undone asks through `Interaction.confirm`.
"""

from collections.abc import Callable

from appliance.control import requests
from appliance.control.requests import Response
from appliance.status.snapshot import Snapshot

from . import screens, screens_facts, screens_lists
from .screens_lists import ListGroup, ListItem
from .screens_text import BODY, Screen, TextLine, line
from .view import Interaction, KeyAction, ListView, ScrollView, View

REVERSED = (
    ("up", "down"), ("down", "up"), ("page up", "page down"), ("page down", "page up"), ("home", "end"), ("end", "home"),
    ("k", "j"), ("j", "k"),
)  # fmt: skip
"""The offset in a log counts from its end."""


def _history(d: Interaction, item: ListItem) -> None:
    if item.message:
        d.request(
            requests.TrackMessage(item.message),
            lambda response: d.show(d.screen.language("Message %(message)s", message=item.message), response.text),
        )
    else:
        d.show(d.screen.language("Refused"), item.detail)


class OverviewView(View):
    name = screens.NAMES[0]

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        return screens.overview(s, d.screen, d.notice)

    @staticmethod
    def _health(d: Interaction, item: object) -> None:
        s = d.board.snapshot()
        d.show(d.screen.language("Health"), "\n".join(row.text for row in [*screens.health(s, d.screen), *screens.watched(s, d.screen)]))

    actions = (KeyAction("h", "all that needs you", lambda d, item: OverviewView._health(d, item)),)


class QueueView(ListView):
    name = screens.NAMES[1]
    needs = requests.ListQueue()

    def watched(self, s: Snapshot) -> object:
        q = s.queue
        newest = s.attempts[0] if s.attempts else None
        return q.waiting, q.held, q.trying, q.stuck, s.messages_sent, s.messages_failed, newest

    def groups(self, s: Snapshot, screen: Screen) -> list[ListGroup]:
        return screens_lists.queue_groups(self.response.facts if self.response else {}, s, screen)

    @staticmethod
    def _hold(d: Interaction, item: ListItem) -> None:
        d.request(requests.ReleaseMessage(item.key) if item.held else requests.HoldMessage(item.key))

    @staticmethod
    def _cancel(d: Interaction, item: ListItem) -> None:
        question = d.screen.language("Cancel %(message)s? It will not be sent.", message=item.about)
        d.confirm(question, lambda: d.request(requests.CancelMessage(item.key)))

    @staticmethod
    def _reroute(d: Interaction, item: ListItem) -> None:
        def then(route: str) -> None:
            if route.strip():
                d.request(requests.RerouteMessage(item.key, route.strip()))

        d.ask(d.screen.language("New route (“direct”, or a relay's name):"), then)

    actions = (
        KeyAction("enter", "history", _history, item=True),
        KeyAction("r", "retry", lambda d, item: d.request(requests.RetryMessage(item.key)), changes=True, item=True),
        KeyAction("h", "hold/go", lambda d, item: QueueView._hold(d, item), changes=True, item=True),
        KeyAction("c", "cancel", lambda d, item: QueueView._cancel(d, item), changes=True, item=True),
        KeyAction("w", "route", lambda d, item: QueueView._reroute(d, item), changes=True, item=True),
        KeyAction("f", "flush", lambda d, item: d.request(requests.FlushQueue()), changes=True),
    )


class MessagesView(ListView):
    name = screens.NAMES[2]

    def groups(self, s: Snapshot, screen: Screen) -> list[ListGroup]:
        return screens_lists.message_groups(s, screen)

    actions = (KeyAction("enter", "history", _history, item=True),)


class AccountsView(ListView):
    name = screens.NAMES[3]
    needs = requests.ListAccounts()

    def watched(self, s: Snapshot) -> object:
        return s.accounts, s.domains

    def groups(self, s: Snapshot, screen: Screen) -> list[ListGroup]:
        return screens_lists.accounts_groups(self.response.facts if self.response else {}, s, screen)

    @staticmethod
    def _add(d: Interaction, item: object) -> None:
        def then(address: str) -> None:
            if address.strip():
                ask_password(lambda password: d.request(requests.AddAccount(address.strip(), password)))

        def ask_password(use: Callable[[str], None]) -> None:
            d.ask(d.screen.language("Password (empty: one is generated):"), use, hidden=True)

        d.ask(d.screen.language("Address of the new account:"), then)

    @staticmethod
    def _password(d: Interaction, item: ListItem) -> None:
        _ = d.screen.language

        def then(password: str) -> None:
            question = _("Set this password for %(address)s? The old one ends.", address=item.key)
            d.confirm(question, lambda: d.request(requests.SetPassword(item.key, password)))

        d.ask(_("New password for %(address)s (empty: one is generated):", address=item.key), then, hidden=True)

    @staticmethod
    def _app(d: Interaction, item: ListItem) -> None:
        def then(label: str) -> None:
            if label.strip():
                d.request(requests.AddAppPassword(item.key, label.strip()))

        d.ask(d.screen.language("What is it for (phone, laptop, ...):"), then)

    @staticmethod
    def _second_factor(d: Interaction, item: ListItem) -> None:
        question = d.screen.language("Switch the second factor of %(address)s off?", address=item.key)
        d.confirm(question, lambda: d.request(requests.RemoveSecondFactor(item.key)))

    @staticmethod
    def _role(d: Interaction, item: ListItem) -> None:
        _ = d.screen.language
        take = _("Take the role of an administrator from %(address)s?", address=item.key)
        question = take if item.held else _("Make %(address)s an administrator?", address=item.key)
        d.confirm(question, lambda: d.request(requests.SetAdmin(item.key, not item.held)))

    actions = (
        KeyAction("a", "add", lambda d, item: AccountsView._add(d, item), changes=True),
        KeyAction("p", "password", lambda d, item: AccountsView._password(d, item), changes=True, item=True),
        KeyAction("w", "app password", lambda d, item: AccountsView._app(d, item), changes=True, item=True),
        KeyAction("s", "2nd factor off", lambda d, item: AccountsView._second_factor(d, item), changes=True, item=True),
        KeyAction("m", "admin", lambda d, item: AccountsView._role(d, item), changes=True, item=True),
    )


class NetworkView(ScrollView):
    name = screens.NAMES[4]

    def length(self, d: Interaction) -> int:
        return len(screens_facts.network(d.board.snapshot(), d.screen))

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        rows = screens_facts.network(s, d.screen)
        return rows[min(self.offset, max(0, len(rows) - d.screen.room)) :]

    actions = (
        KeyAction(
            "c",
            "check listeners and outbound",
            lambda d, item: d.request(
                requests.CheckNetwork(), lambda response: d.show(d.screen.language("Check of the network"), response.text)
            ),
        ),
    )


class DomainView(ListView):
    name = screens.NAMES[5]
    needs = requests.ListDomains()

    def watched(self, s: Snapshot) -> object:
        return s.domains

    def groups(self, s: Snapshot, screen: Screen) -> list[ListGroup]:
        return screens_lists.domain_groups(self.response.facts if self.response else {}, screen)

    actions = (
        KeyAction(
            "enter",
            "records to publish",
            lambda d, item: d.request(
                requests.DomainRecords(item.key),
                lambda response: d.show(d.screen.language("Records of %(domain)s", domain=item.key), response.text),
            ),
            item=True,
        ),
        KeyAction(
            "c",
            "check them",
            lambda d, item: d.request(
                requests.DomainCheck(item.key),
                lambda response: d.show(d.screen.language("Check of %(domain)s", domain=item.key), response.text),
            ),
            item=True,
        ),
    )


class CertificatesView(ScrollView):
    name = screens.NAMES[6]
    needs = requests.ShowCertificate()

    def watched(self, s: Snapshot) -> object:
        return s.certificate

    def _lines(self, s: Snapshot, screen: Screen) -> list[str]:
        return screens_facts.certificates(s, self.missing or (self.response.text if self.response else ""), screen)

    def length(self, d: Interaction) -> int:
        return len(self._lines(d.board.snapshot(), d.screen))

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        return screens.text_body(self._lines(s, d.screen), self.offset, d.screen)

    @staticmethod
    def _renew(d: Interaction, item: object) -> None:
        d.confirm(
            d.screen.language("Make a new certificate now? Devices continue to trust it."), lambda: d.request(requests.RenewCertificate())
        )

    @staticmethod
    def _new_authority(d: Interaction, item: object) -> None:
        d.confirm(d.screen.language("Every device must then trust the new authority. Make it?"), lambda: d.request(requests.NewAuthority()))

    actions = (
        KeyAction("e", "authority for devices", lambda d, item: d.request(requests.ExportCertificate())),
        KeyAction("n", "new certificate", lambda d, item: CertificatesView._renew(d, item), changes=True),
        KeyAction("a", "new authority", lambda d, item: CertificatesView._new_authority(d, item), changes=True),
    )


class LogsView(ScrollView):
    """`offset` counts lines up from the newest; a log that grows while an older part is shown does not move."""

    name = screens.NAMES[7]
    needs = requests.ReadLog()

    def __init__(self) -> None:
        super().__init__()
        self.side = 0
        self._lines: list[str] = []
        self._room = BODY

    def watched(self, s: Snapshot) -> object:
        return s.version

    def enter(self) -> None:
        self.offset = self.side = 0

    def length(self, d: Interaction) -> int:
        return len(self._lines)

    def received(self, response: Response) -> None:
        super().received(response)
        before, self._lines = self._lines, list(response.facts.get("lines", ()))
        if self.offset and before and before[-1] in self._lines:
            new = self._lines[::-1].index(before[-1])
            self.offset = min(self.offset + new, max(0, len(self._lines) - self._room))

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        if self.missing:
            return [line(d.screen.language(self.missing))]
        self._room = d.screen.room
        return screens_facts.logs(self._lines, self.offset, self.side, d.screen)

    def press(self, d: Interaction, key: str) -> bool:
        if key in ("left", "right"):
            self.side = min(max(0, self.side + (screens_facts.SIDE if key == "right" else -screens_facts.SIDE)), 400)
            return True
        return super().press(d, next((other for one, other in REVERSED if one == key), key))

    def hint(self, d: Interaction) -> str:
        return d.screen.language("Up Down older, newer  Left Right scroll sideways  End newest  ? help")


class PowerView(View):
    name = screens.NAMES[8]

    def body(self, s: Snapshot, d: Interaction) -> list[TextLine]:
        return screens.power(s, d.screen)

    @staticmethod
    def _stop(d: Interaction, question: str, request: requests.Request) -> None:
        d.confirm(question, lambda: d.request(request))

    actions = (
        KeyAction(
            "s", "shut down", lambda d, item: PowerView._stop(d, d.screen.language("Stop the server?"), requests.ShutDown()), changes=True
        ),
        KeyAction(
            "b",
            "restart",
            lambda d, item: PowerView._stop(d, d.screen.language("Stop it and start again?"), requests.Restart()),
            changes=True,
        ),
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
