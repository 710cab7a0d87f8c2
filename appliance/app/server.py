"""The running server: listeners, queue, local socket and supervisor around the components of one data directory.

`serve` is the server's whole life; `offline` opens a data directory for one command. Everything is passed what it needs
from here, so two servers can run in one process.

Order of start: LEDs, lock, database, accounts, store, certificate, listeners, "ready". The end is the reverse: the
database closes last but for the LEDs, which then say that the plug may be pulled.
How it fails: SetupError before anything is served.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from appliance.config import settings_edit
from appliance.config.settings import Settings
from appliance.config.time_zone import set_time_zone
from appliance.control.local_socket import ControlServer
from appliance.database.scrub import scrub
from appliance.mail.errors import SetupError
from appliance.protocol.imap.envelope_fields import searched_texts
from appliance.runtime import clock as clocks
from appliance.runtime.identity import needed_to_start
from appliance.runtime.memory import give_back, keep_for_good
from appliance.runtime.notify import Notifier
from appliance.runtime.supervisor import Ending, Supervisor, Task
from appliance.status.events import OrphanedBodies, ServerState, bodies_missing
from appliance.store.reclaim import Reclaim
from appliance.store.redescription import Redescription
from appliance.store.search_filling import SearchFilling

from . import runtime_files
from .background import purge_removed, watch_host
from .components import Basics, Components, accounts_state, open_components
from .jmap import JmapParts
from .listener_trial import ListenerTrial
from .listeners import Services, certificate_of, listeners_of, send_quota_of
from .outbound import Outbound
from .panel import Panel

if TYPE_CHECKING:
    from appliance.accounts.send_quota import SendQuota
    from appliance.control.requests import Control
    from appliance.network.listener import Listeners
    from appliance.network.tls import ServerTls

    from .admin_api import AdminApi
    from .first_run import FirstAccount
    from .live_settings import LiveSettings

RESTART_STATUS = 75
"""What `serve` returns for a server that is to restart: a temporary failure (sysexits.h), where nobody restarts it."""
DRAIN_MORE_S = 10.0
"""What a part gets to end after its sessions had their time."""


@asynccontextmanager
async def offline(data: Path) -> AsyncIterator["Control"]:
    """The admin API of a data directory that no server runs on, for one command that may write. Raises SetupError (InUse)."""
    from .admin_api import AdminApi

    async with open_components(data, Settings()) as components:
        if components.directory.tightened:
            print(f"pillarbox: {components.directory.tightened}", file=sys.stderr)
        with needed_to_start(data):
            outbound = await Outbound.open(components, moving=False)
        yield AdminApi(components, outbound)


def serve(data: Path, settings: Settings, *, welcome: bool = False, settings_file: Path | None = None) -> int:
    """Run the server until it is to stop; the exit status, RESTART_STATUS for a restart. Raises SetupError before anything is served."""
    set_time_zone(settings.server.time_zone)
    try:
        again = trio.run(_server, data, settings, welcome, settings_file)
    except BaseExceptionGroup as group:  # the nursery's wrapping
        fault, rest = group.split(SetupError)
        if fault is None or rest is not None:
            raise
        first: BaseException = fault
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return RESTART_STATUS if again else 0


async def _server(data: Path, settings: Settings, welcome: bool, settings_file: Path | None) -> bool:
    """LEDs and log for the whole life, the open server within; whether to restart."""
    basics = Basics.make()
    tried_out = welcome and sys.stdout.isatty()
    basics.journal.quiet = tried_out  # until the welcome, which would be lost among twenty lines
    panel = Panel(basics, settings.panel, simulated=tried_out)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(basics.journal.run)
        nursery.start_soon(panel.lights)
        async with open_components(data, settings, basics) as components:
            components.settings_file = settings_file
            ending = await OpenServer(components, panel, welcome=welcome).run()
        basics.board.publish(ServerState("stopped"))
        if ending is Ending.SHUT_DOWN:
            runtime_files.request_power_off(runtime_files.directory())
        if ending is not Ending.RESTART:
            nursery.start_soon(Notifier(os.environ).keep_watchdog)
            await panel.farewell(stays=ending is Ending.SHUT_DOWN)
        nursery.cancel_scope.cancel()
    return ending is Ending.RESTART


class OpenServer:
    """All that runs while the data directory is open: its parts, in the order they start, and how it ends."""

    _tls: "ServerTls"
    _send_quota: "SendQuota"
    _outbound: Outbound
    _jmap: JmapParts
    _services: "Services"
    _listeners: "Listeners"
    _supervisor: Supervisor

    def __init__(self, components: Components, panel: Panel, *, welcome: bool) -> None:
        self._components = components
        self._panel = panel
        self._welcome = welcome
        self._trial = cache(self._make_trial)
        self._admin_api = cache(self._make_admin_api)
        """The one admin API, made when it is first needed."""

    async def run(self) -> Ending:
        """Run until a request to stop; how it is to end. Raises SetupError before anything is served."""
        components, settings = self._components, self._components.settings
        await self._prepare()
        self._tls = await certificate_of(components)
        self._send_quota = send_quota_of(components)
        with needed_to_start(components.directory.path):
            self._outbound = await Outbound.open(components)
        self._jmap = JmapParts(components, self._send_quota, self._outbound)
        self._services = Services(components, self._outbound, self._jmap)
        self._listeners = listeners_of(components, self._tls, self._services, self._admin_api)
        self._outbound.listening = self._listeners.places
        self._listeners.bind()
        self._supervisor = Supervisor(
            self._parts(),
            board=components.board,
            log=components.journal.log,
            notifier=Notifier(os.environ),
            on_hangup=self._hung_up if self._welcome else self._tls.reload,
            drain_s=settings.limits.drain_s + DRAIN_MORE_S,
        )
        first = await self._first_account()
        await self._supervisor.run(on_ready=lambda: self._ready(first))
        return self._supervisor.ending

    async def _prepare(self) -> None:
        """What is said and stored before anything listens."""
        components, log = self._components, self._components.journal.log
        if os.geteuid() == 0:
            log(f"It runs as root, since {components.directory.path} belongs to root; better give it to a user of its own (chown -R).")
        if domain := components.settings.server.domain:
            before = components.domains
            with needed_to_start(components.directory.path):
                added = await components.accounts.ensure_domain(domain)
            if before and added not in before:
                log(f"{added} is now a domain of this server too; addresses stay. To change one: pillarbox account rename OLD NEW")
        components.board.publish(accounts_state(components.accounts))
        if not (components.accounts.directory.accounts() or components.accounts.directory.removed()):
            from .first_setup import prepare_setup_code

            with needed_to_start(components.directory.path):
                await prepare_setup_code(components)

    def _parts(self) -> list[Task]:
        """In the order they start; they end in the reverse."""
        components, outbound, listeners = self._components, self._outbound, self._listeners

        def _end_setup_code() -> Awaitable[None]:
            return runtime_files.end_setup_code(runtime_files.directory(), components.board)

        control = ControlServer(components.directory.descriptor, self._admin_api, components.journal.log)
        certificates = Task("certificates", lambda task_status: components.certificates.run(self._tls.reload, task_status=task_status))
        return [
            Task("clock", _started(lambda: clocks.watch(components.clock, components.board, self._clock_set))),  # type: ignore[arg-type]
            Task("storage", _started(lambda: watch_host(components)), alive=self._writer_answers),
            Task("control", control.run),
            *([certificates] if components.certificates.in_use() else []),
            Task("queue", outbound.run, drain=outbound.drain),
            Task("listeners", listeners.run, drain=listeners.drain, alive=listeners.alive),
            Task("sending", _started(lambda: self._send_quota.run(components.clock.mono_s))),
            Task("reclaim", _started(self._reclaim().run)),
            Task("redescription", _started(Redescription(components.store).run)),
            *([Task("search index", _started(filling.run))] if (filling := self._search_filling()) is not None else []),
            Task("removed accounts", _started(lambda: purge_removed(components))),
            Task("imports", _started(components.transfers.run)),
            Task("push", _started(self._jmap.push)),
            Task("scrub", _started(lambda: scrub(components.database))),
            *([Task("listener trial", _started(trial.run), ends=True)] if (trial := self._trial()).note() is not None else []),
            *([Task("setup code", _started(_end_setup_code), ends=True)] if components.setup_code else []),
            *self._panel.parts(components, self._admin_api),
        ]

    def _search_filling(self) -> SearchFilling | None:
        components = self._components
        index = components.search_index
        if index is None:
            return None
        return SearchFilling(components.store, index, components.clock, described=searched_texts, give_back=give_back)

    def _reclaim(self) -> Reclaim:
        components, publish = self._components, self._components.board.publish
        return Reclaim(
            components.database, components.bodies, components.clock,
            report_aside=lambda files: publish(OrphanedBodies(files)), report_missing=lambda files: publish(bodies_missing(files)),
        )  # fmt: skip

    def _make_trial(self) -> ListenerTrial:
        components = self._components
        directory = components.directory.path
        file = components.settings_file or directory / settings_edit.NAME
        return ListenerTrial(directory, file, lambda: self._stop(Ending.RESTART), components.journal.log)

    def _make_admin_api(self) -> "AdminApi":
        from .admin_api import AdminApi
        from .admin_request import Running

        running = Running(self._tls, stop=self._stop, end_sessions=self._end_sessions, trial=self._trial(), live=self._live_settings())
        return AdminApi(self._components, self._outbound, running)

    def _live_settings(self) -> "LiveSettings":
        from .live_settings import LiveSettings

        components = self._components
        file = components.settings_file or components.directory.path / settings_edit.NAME
        parts = (self._services, self._outbound, self._jmap)

        def limits_changed() -> None:
            accounts, limits = components.settings.accounts, components.settings.limits
            self._send_quota.change(messages_per_hour=accounts.messages_per_hour, recipients_per_day=accounts.recipients_per_day)
            self._listeners.options = replace(self._listeners.options, connections_per_source=limits.connections_per_address)

        return LiveSettings(components, file, *(part.settings_changed for part in parts), limits_changed)

    def _stop(self, ending: Ending) -> None:
        self._supervisor.stop(ending)

    def _hung_up(self) -> None:
        """SIGHUP: a server that is tried out ends with its terminal."""
        self._supervisor.stop()

    def _end_sessions(self) -> int:
        """Sessions of accounts and passwords that no longer exist; how many. What was pushed for them ends too."""
        self._jmap.subscriptions.look()
        return self._listeners.end_sessions(self._components.accounts.is_current)

    async def _clock_set(self) -> None:
        self._components.certificates.look_again()
        await self._outbound.queue.clock_set()

    async def _writer_answers(self) -> None:
        await self._components.database.write(lambda transaction: None)

    async def _first_account(self) -> "FirstAccount | None":
        if not self._welcome:
            return None
        from .first_run import first_account

        return await first_account(self._admin_api(), self._components.settings.server.domain, sys.stdout)

    def _ready(self, first: "FirstAccount | None") -> None:
        """Every part has started."""
        self._components.journal.flush()
        if first is not None:
            from .first_run import guide

            guide(first, self._listeners.bound, self._components.directory.path, sys.stdout)
        self._components.journal.quiet = False
        if self._components.setup_code is not None:
            from .first_setup import print_setup_code

            print_setup_code(self._components, sys.stdout)
        runtime_files.write_setup_code(runtime_files.directory(), code.shown if (code := self._components.setup_code) else "")
        keep_for_good()
        print("ready", flush=True)


def _started(run: Callable[[], Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """A part that counts as started as soon as it runs."""

    async def part(task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await run()

    return part
