"""Admin requests about the server itself: status, log, network, shutting down."""

from dataclasses import asdict

from appliance.config import settings_edit, settings_file
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.database.check import looks_damaged
from appliance.mail.errors import NotRunningError, SetupError, StoreError
from appliance.mail.sentence import Sentence, joined
from appliance.runtime.supervisor import Ending
from appliance.status.text import encode_snapshot, readable

from .admin_request import Answers, Running
from .components import Components
from .outbound import Outbound
from .port_check import check, findings_text, listener_probe


class ServerRequests:
    """Answers what is asked about the server. `running` None: the data directory is open for one command only."""

    def __init__(self, components: Components, outbound: Outbound, running: Running | None = None) -> None:
        self._components = components
        self._outbound = outbound
        self._running = running
        self._board = components.board if running is not None else None

    def answers(self) -> Answers:
        return (
            (controls.Status, self.status),
            (controls.ReadLog, self.read_log),
            (controls.ShutDown, self.shut_down),
            (controls.Restart, self.restart),
            (controls.CheckNetwork, self.check_network),
        )

    async def status(self, request: controls.Status) -> Response:
        if self._board is None:
            accounts = self._components.accounts.directory.accounts()
            text = joined(
                Sentence("Pillarbox is not running on %(directory)s.", directory=self._components.directory.path),
                Sentence.counted("It has %(number)s account.", "It has %(number)s accounts.", len(accounts)),
                Sentence("Start it with: pillarbox serve"),
            )
            damaged = await self._is_damaged()
            if damaged:
                critical = Sentence("CRITICAL: The database is damaged. For details and what to do: pillarbox check")
                text = joined(critical, text, by="\n")
            facts = {"accounts": len(accounts), "domains": list(self._components.accounts.directory.domains())}
            return Response(text, {"running": False, **facts, **({"damaged": True} if damaged else {})})
        snapshot = self._board.snapshot()
        return Response(readable(snapshot), {"running": True, **encode_snapshot(snapshot)})

    async def _is_damaged(self) -> bool:
        try:
            return await self._components.database.read(looks_damaged)
        except StoreError:
            return True

    async def read_log(self, request: controls.ReadLog) -> Response:
        lines = self._components.journal.lines(request.since)
        return Response("\n".join(lines), {"lines": lines, "count": self._components.journal.count})

    def _close(self, ending: Ending) -> None:
        if self._running is None:
            raise NotRunningError("No server is running.", "Start it with: pillarbox serve")
        self._running.stop(ending)

    async def shut_down(self, request: controls.ShutDown) -> Response:
        self._close(Ending.SHUT_DOWN)
        return Response("The server is shutting down. Wait until the LEDs say that the plug may be pulled.")

    async def restart(self, request: controls.Restart) -> Response:
        """Refused where the settings as they are now would not let the server start again: it would be gone for good."""
        file = self._components.settings_file or self._components.directory.path / settings_edit.NAME
        try:
            if self._components.settings_file is not None or file.exists():
                settings_file.read(file)
        except SetupError as error:
            problem = Sentence("The server was not restarted: it could not start again. %(problem)s", problem=error.problem)
            raise SetupError(problem, error.remedy) from error
        self._close(Ending.RESTART)
        return Response("The server restarts; it is back in a moment.")

    async def check_network(self, request: controls.CheckNetwork) -> Response:
        if self._board is None:
            raise NotRunningError("No server is running.", "Start it with: pillarbox serve")
        found = await check([*map(listener_probe, self._board.snapshot().listeners), *self._outbound.probes()])
        return Response(findings_text(found), {"findings": [asdict(one) for one in found]})
