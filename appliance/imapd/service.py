"""The IMAP service: one session from greeting to logout, and what all sessions share.

Here the tables of commands and extensions are given to the sessions. The listener calls `handle` for each client and guards it;
PeerGone and PeerSlow may come out of it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .commands.table import CORE
from .contract import ImapExtension
from .extensions.table import EXTENSIONS
from .options import ImapOptions as ImapOptions
from .registry import Registry
from .session import ImapContext, ImapSession

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.clock import Clock
    from appliance.network.stream import Stream
    from appliance.store.store import Store


class ImapService:
    """IMAP on 143 and 993."""

    def __init__(
        self,
        *,
        store: "Store",
        login: "Login",
        mechanisms: "Mechanisms",
        clock: "Clock",
        directory: "Directory",
        options: ImapOptions | None = None,
        extensions: Iterable[ImapExtension] = EXTENSIONS,
    ) -> None:
        registry = Registry((CORE, *extensions))
        self._context = ImapContext(store, login, mechanisms, clock, options or ImapOptions(), registry, directory)

    def use(self, options: ImapOptions) -> None:
        """For sessions that begin from now on."""
        self._context = replace(self._context, options=options)

    async def handle(self, stream: "Stream") -> None:
        """One session to its end; TLS of the implicit port is already on. The listener closes the stream."""
        await ImapSession(self._context, stream).run()
