"""The web service on the http and https listeners: what all connections share."""

from collections.abc import Callable, Sequence

from appliance.network.stream import Stream

from .access_log import AccessLog
from .connection import HttpConnection
from .context import WebContext
from .rendering import Pages
from .routes import SiteSection
from .sections import sections_of
from .site import Site


class WebService:
    """All HTTP connections of the server. `more`: sections that others add; they are told what renders pages."""

    def __init__(self, context: WebContext, more: Callable[[Pages], Sequence[SiteSection]] = lambda pages: ()) -> None:
        self._context = context
        pages, log = Pages(context), AccessLog()
        self.site = Site(context, (*sections_of(context, pages, log), *more(pages)), pages.refusal, log)

    async def handle(self, stream: Stream) -> None:
        """One connection to its end; TLS of the https listener is already on. Raises PeerError."""
        await HttpConnection(stream, self.site.respond, self._context.options.patience).run()
