"""The overview: how the server is, in sentences with what to do about each, and the figures of the moment; live where scripts run.

The event stream tells the page which figures changed, so that a script fills them in; when other conditions hold, the page is
loaded anew. It sends at most one event in EVENTS_S, and ends with its session.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import trio

from appliance.languages.catalogues import Language
from appliance.protocol.http.event_stream import COMMENT, MEDIA_TYPE, encode_event
from appliance.status.snapshot import Snapshot

from ..formats import size, span
from ..message import HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

EVENTS_S = 2.0
ALIVE_S = 25.0
"""How often an event stream without news says that it is alive; its session is looked at then, too."""

BUTTONS = {
    "queue-stuck": "/admin/queue", "queue-delayed": "/admin/queue", "relay-down": "/admin/settings", "outbound-blocked": "/admin/network",
    "dns-down": "/admin/network", "listener-down": "/admin/network", "no-network": "/admin/network",
    "certificate-expired": "/admin/certificates", "certificate-expiring": "/admin/certificates", "certificate-error": "/admin/certificates",
    "certificate-names": "/admin/certificates", "authority-error": "/admin/certificates", "authority-new": "/admin/certificates",
    "storage-full": "/admin/storage", "storage-low": "/admin/storage", "storage-worn": "/admin/storage", "storage-error": "/admin/storage",
    "mailbox-full": "/admin/accounts", "no-accounts": "/admin/accounts", "sending-limited": "/admin/accounts",
    "task-down": "/admin/logs", "session-failed": "/admin/logs", "password-guessing": "/admin/logs",
}  # fmt: skip
"""Where something can be done about a condition."""


class OverviewPages(PageGroup):
    """The first page of the administration."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/admin/", self.overview, Access.ADMIN),
            WebRoute("GET", "/admin", self.overview, Access.ADMIN),
            WebRoute("GET", "/admin/events", self.events, Access.ADMIN, program=True),
        )

    async def overview(self, request: HttpRequest) -> HttpResponse:
        snapshot = self.context.board.snapshot()
        conditions = [
            {
                "severity": one.severity,
                "text": request.language(one.sentence),
                "remedy": request.language(one.remedy),
                "place": BUTTONS.get(one.key, ""),
            }
            for one in snapshot.conditions
        ]
        return self.pages.page(
            request, "overview.html", s=snapshot, conditions=conditions, figures=figures(snapshot, request.language), shape=shape(snapshot)
        )

    async def events(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, self._changes(request), MEDIA_TYPE, lasting=True)

    async def _changes(self, request: HttpRequest) -> AsyncIterator[bytes]:
        board, session, language = self.context.board, request.session, request.language
        said: dict[str, Any] = {}
        version = board.version - 1
        while session is not None and self.may_go_on(session):
            with trio.move_on_after(ALIVE_S) as silent:
                snapshot = await board.changed(version)
            if silent.cancelled_caught:
                yield COMMENT
                continue
            version = snapshot.version
            now: dict[str, Any] = {key: value for key, _name, value, _place in figures(snapshot, language)} | {"shape": shape(snapshot)}
            if now != said:
                said = now
                yield encode_event(json.dumps(now, ensure_ascii=False))
            await trio.sleep(EVENTS_S)


def figures(s: Snapshot, _: Language) -> tuple[tuple[str, str, str, str], ...]:
    """(key, what it is, value, page with more) of each figure."""
    free = size(s.storage.free_octets, _) if s.storage.total_octets else "-"
    return (
        ("arrived", _("Messages arrived"), _.number(s.messages_arrived), "/admin/messages"),
        ("sent", _("Messages sent"), _.number(s.messages_sent), "/admin/messages"),
        ("waiting", _("Waiting to be sent"), _.number(s.queue.waiting), "/admin/queue"),
        ("refused", _("Refused at the door"), _.number(s.messages_refused), "/admin/messages"),
        ("accounts", _("Accounts"), _.number(s.accounts), "/admin/accounts"),
        ("sessions", _("Open connections"), _.number(s.sessions_open), "/admin/network"),
        ("free", _("Free storage"), free, "/admin/storage"),
        ("running", _("Running for"), span(s.running_s), ""),
    )


def shape(s: Snapshot) -> str:
    """Changes when other conditions hold."""
    return "|".join(f"{one.key}:{one.sentence}" for one in s.conditions)
