"""/health and /metrics: the snapshot for programs that watch over servers.

/health is 200 while nothing critical is wrong, else 503, with the conditions as JSON. /metrics is OpenMetrics 1.0 text. Both answer
devices of this network only, unless the settings say otherwise. No address and no name of an account is in them.
"""

import json
from collections.abc import Iterator
from typing import Any

from appliance.mail.sentence import Sentence
from appliance.status.snapshot import Condition, Snapshot

from .context import WebContext
from .message import JSON, HttpRequest, HttpResponse
from .routes import Access, WebRoute

METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Sample = tuple[str, float]
"""Labels in wire form, and the value."""


class Health:
    """Answers from the board; asking changes nothing."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def routes(self) -> tuple[WebRoute, ...]:
        access = Access.ANYONE if self._context.options.metrics_from_anywhere else Access.NEARBY
        return (
            WebRoute("GET", "/health", self.health, access, program=True),
            WebRoute("GET", "/metrics", self.metrics, access, program=True),
        )

    async def health(self, request: HttpRequest) -> HttpResponse:
        snapshot = self._context.board.snapshot()
        conditions = [_condition(one) for one in snapshot.conditions]
        ill = snapshot.severity == "critical" or snapshot.phase in ("recovering", "updating", "stopped")
        document = {"status": "fail" if ill else "warn" if snapshot.severity == "warning" else "pass", "conditions": conditions}
        return HttpResponse(503 if ill else 200, json.dumps(document, ensure_ascii=False).encode(), JSON)

    async def metrics(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, "".join(metrics_text(self._context.board.snapshot())).encode(), METRICS_TYPE)


def _condition(one: Condition) -> dict[str, Any]:
    """With the values that its text was made with, for programs."""
    values = dict(one.sentence.values) if isinstance(one.sentence, Sentence) else {}
    return {"key": one.key, "severity": one.severity, "text": one.sentence, "remedy": one.remedy, "values": values}


def metrics_text(s: Snapshot) -> Iterator[str]:
    """Every metric with its type and help, in lines."""
    for name, kind, text, samples in _metrics(s):
        yield f"# TYPE pillarbox_{name} {kind}\n# HELP pillarbox_{name} {text}\n"
        suffix = "_total" if kind == "counter" else ""
        for labels, value in samples:
            yield f"pillarbox_{name}{suffix}{labels} {value:g}\n" if value < 1e6 else f"pillarbox_{name}{suffix}{labels} {value:.0f}\n"
    yield "# EOF\n"


def _metrics(s: Snapshot) -> Iterator[tuple[str, str, str, list[Sample]]]:
    by_severity = {kind: sum(one.severity == kind for one in s.conditions) for kind in ("critical", "warning", "notice")}
    yield "running_seconds", "gauge", "Time since the start.", [("", s.running_s)]
    yield "conditions", "gauge", "Conditions that hold.", [(f'{{severity="{kind}"}}', n) for kind, n in by_severity.items()]
    yield "messages_accepted", "counter", "Messages accepted over SMTP.", [("", s.messages_accepted)]
    yield "messages_arrived", "counter", "Messages put into mailboxes.", [("", s.messages_arrived)]
    yield "messages_refused", "counter", "Messages and recipients refused over SMTP.", [("", s.messages_refused)]
    yield "messages_octets", "counter", "Octets of accepted messages.", [("", s.messages_octets)]
    yield "messages_sent", "counter", "Messages other servers took.", [("", s.messages_sent)]
    yield "messages_failed", "counter", "Messages returned to their senders.", [("", s.messages_failed)]
    yield "queue_entries", "gauge", "Queue entries.", [
        ('{state="waiting"}', s.queue.waiting), ('{state="held"}', s.queue.held), ('{state="trying"}', s.queue.trying),
    ]  # fmt: skip
    yield "logins", "counter", "Sign-ins.", [('{result="right"}', s.logins.succeeded), ('{result="wrong"}', s.logins.failed)]
    yield "sessions", "gauge", "Open connections.", [(f'{{protocol="{one.protocol}"}}', one.open) for one in s.sessions]
    yield "connections", "counter", "Connections so far.", [(f'{{protocol="{one.protocol}"}}', one.opened) for one in s.sessions]
    yield "storage_free_octets", "gauge", "Free storage.", [("", s.storage.free_octets)]
    yield "storage_total_octets", "gauge", "Storage in all.", [("", s.storage.total_octets)]
    yield "storage_mail_octets", "gauge", "Mail in mailboxes.", [("", s.storage.mail_octets)]
    yield "memory_octets", "gauge", "Resident memory.", [("", s.host.memory_octets)]
    if s.certificate.not_after_at:
        yield "certificate_seconds", "gauge", "Time until the certificate expires.", [("", s.certificate.not_after_at - s.at)]
