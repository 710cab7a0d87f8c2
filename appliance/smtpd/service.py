"""The SMTP service: port 25 for other servers, 587 and 465 for the server's own users.

The listener calls `handle` for each client and guards it; PeerGone may come out of it.
"""

from dataclasses import replace

from appliance.network.stream import Stream

from .commands import CORE
from .extension import CommandTables
from .extensions.table import EXTENSIONS
from .options import SmtpOptions as SmtpOptions
from .session import SmtpContext as SmtpContext
from .session import SmtpServerSession


class SmtpService:
    """SMTP on all its ports; a stream's `protocol` says which one it is."""

    def __init__(self, context: SmtpContext) -> None:
        self._context = context
        self._tables = CommandTables(CORE, EXTENSIONS)

    def use(self, options: SmtpOptions) -> None:
        """For sessions that begin from now on."""
        self._context = replace(self._context, options=options)

    async def handle(self, stream: Stream) -> None:
        """One session to its end; TLS of the implicit port is already on. The listener closes the stream."""
        await SmtpServerSession(self._context, self._tables, stream).run()
