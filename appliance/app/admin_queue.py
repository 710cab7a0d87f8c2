"""Admin requests about the queue, and about what became of a message."""

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import NotRunningError
from appliance.mail.sentence import Sentence
from appliance.queue.admin import LISTED
from appliance.queue.entry import QueueEntry

from .admin_request import Answers
from .components import Components
from .outbound import Outbound
from .queue_text import facts_of, listed, refused, shown, timeline


class QueueRequests:
    """Answers what is asked about the queue; a refusal is SetupError, and then nothing has changed."""

    def __init__(self, components: Components, outbound: Outbound, *, is_running: bool) -> None:
        self._outbound = outbound
        self._board = components.board if is_running else None

    def answers(self) -> Answers:
        return (
            (controls.ListQueue, self.list_queue),
            (controls.ShowMessage, self.show_message),
            (controls.RetryMessage, self.retry_message),
            (controls.HoldMessage, self.hold_message),
            (controls.ReleaseMessage, self.release_message),
            (controls.RerouteMessage, self.reroute_message),
            (controls.CancelMessage, self.cancel_message),
            (controls.FlushQueue, self.flush_queue),
            (controls.TrackMessage, self.track_message),
        )

    async def list_queue(self, request: controls.ListQueue) -> Response:
        most = min(request.most or LISTED, LISTED)
        return listed(await self._outbound.queue_admin.entries(most, request.after), self._outbound.due_at)

    async def show_message(self, request: controls.ShowMessage) -> Response:
        return shown(await self._outbound.queue_admin.find(request.word), self._outbound.due_at)

    async def retry_message(self, request: controls.RetryMessage) -> Response:
        return self._did(Sentence("is tried now"), await self._outbound.queue_admin.retry(request.word))

    async def hold_message(self, request: controls.HoldMessage) -> Response:
        return self._did(Sentence("is held; to release it: pillarbox queue release"), await self._outbound.queue_admin.hold(request.word))

    async def release_message(self, request: controls.ReleaseMessage) -> Response:
        return self._did(Sentence("is released"), await self._outbound.queue_admin.release(request.word))

    async def reroute_message(self, request: controls.RerouteMessage) -> Response:
        destination_of = self._outbound.destination_by(request.route)
        return self._did(
            Sentence("now goes %(route)s", route=self._outbound.route_text(request.route)),
            await self._outbound.queue_admin.reroute(request.word, destination_of),
        )

    async def cancel_message(self, request: controls.CancelMessage) -> Response:
        return self._did(Sentence("is cancelled: it is not sent"), await self._outbound.queue_admin.cancel(request.word))

    def _did(self, outcome: str, entries: list[QueueEntry]) -> Response:
        message = entries[0].message
        return Response(
            Sentence("The message %(message)s %(outcome)s.", message=message, outcome=outcome),
            {"messages": [facts_of(entry, self._outbound.due_at(entry)) for entry in entries]},
        )

    async def flush_queue(self, request: controls.FlushQueue) -> Response:
        rows = await self._outbound.queue_admin.flush()
        return Response(Sentence.counted("%(number)s message is tried now.", "%(number)s messages are tried now.", rows), {"rows": rows})

    async def track_message(self, request: controls.TrackMessage) -> Response:
        if not request.word or "@" in request.word:
            if self._board is None:
                raise NotRunningError("No server is running, so none has refused a message.", "Start it with: pillarbox serve")
            snapshot = self._board.snapshot()
            return refused(snapshot.refusals, request.word, int(snapshot.at - snapshot.running_s))
        return timeline(await self._outbound.queue_admin.timeline(request.word))
