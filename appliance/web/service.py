"""The web service on the http and https listeners: what all connections share."""

from collections.abc import Sequence

from appliance.network.stream import Stream

from .connection import Connection
from .context import WebContext
from .rendering import Pages
from .routes import SiteSection
from .sections import sections_of
from .site import Site


class Service:
    """All HTTP connections of the server. `more`: sections that others add."""

    def __init__(self, context: WebContext, more: Sequence[SiteSection] = ()) -> None:
        self._context = context
        self._pages = Pages(context)
        self.site = Site(context, (*sections_of(context, self._pages), *more), self._pages.refusal)

    async def handle(self, stream: Stream) -> None:
        """One connection to its end; TLS of the https listener is already on. Raises PeerError."""
        await Connection(stream, self.site.respond, self._context.options.patience).run()
