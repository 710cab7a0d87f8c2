"""The admin API on an open data directory with one account, as for one command and as in a running server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.app.components import Basics, Components, open_components
from appliance.app.outbound import Outbound
from appliance.config.settings import Settings
from appliance.runtime.supervisor import Ending

ADA = "ada@home.example"
PASSWORD = "Correct-Horse-7"


class AdminServer:
    """An open data directory with one account, and what a running server would be asked for."""

    def __init__(self, components: Components, outbound: Outbound) -> None:
        self.components = components
        self.outbound = outbound
        self.endings: list[Ending] = []
        self.ended = 0
        tls: Any = SimpleNamespace(source="server", facts=None, reload=lambda: None)
        self.offline = AdminApi(components, outbound)
        self.running = AdminApi(components, outbound, Running(tls, stop=self.endings.append, end_sessions=self._end_sessions))

    def _end_sessions(self) -> int:
        self.ended += 1
        return 2


@asynccontextmanager
async def admin_server(data: Path, settings: Settings | None = None, basics: Basics | None = None) -> AsyncIterator[AdminServer]:
    async with open_components(data, settings or Settings(), basics) as components:
        await components.accounts.add_account(ADA, PASSWORD, also=components.store.make_mailboxes)
        yield AdminServer(components, await Outbound.open(components))
