"""CORS of JMAP: pages of other sites may use it with a bearer token of their user, and with nothing else (Fetch §3.2).

| request                         | what a page elsewhere gets                                                       |
|---------------------------------|----------------------------------------------------------------------------------|
| preflight (OPTIONS)             | that Authorization and Content-Type may be sent, by any site                     |
| `Authorization: Bearer`         | the answer, errors too: whoever has the token could ask from anywhere            |
| cookie, Basic, none             | nothing: the browser keeps the answer from the page                              |

Access-Control-Allow-Credentials is never sent, so a browser adds no cookie to such a request.
"""

from dataclasses import replace

from .message import Handler, HttpRefusal, HttpRequest, HttpResponse
from .routes import WebRoute

ALLOW_ORIGIN = ("access-control-allow-origin", "*")
PREFLIGHT = (
    ALLOW_ORIGIN,
    ("access-control-allow-methods", "GET, POST"),
    ("access-control-allow-headers", "authorization, content-type, last-event-id"),
    ("access-control-max-age", "86400"),
)


def readable_elsewhere(routes: tuple[WebRoute, ...]) -> tuple[WebRoute, ...]:
    """The routes with answers to bearer tokens marked as readable, and one for the preflight of each path."""
    patterns = dict.fromkeys(route.pattern for route in routes)
    marked = tuple(replace(route, handle=_marked(route.handle)) for route in routes)
    return marked + tuple(replace(routes[0], method="OPTIONS", pattern=pattern, handle=preflight) for pattern in patterns)


async def preflight(request: HttpRequest) -> HttpResponse:
    return HttpResponse(204, fields=list(PREFLIGHT))


def _marked(handle: Handler) -> Handler:
    async def handler(request: HttpRequest) -> HttpResponse:
        bears = request.fields.get("authorization").partition(" ")[0].lower() == "bearer"
        try:
            response = await handle(request)
        except HttpRefusal as refusal:
            if bears:
                refusal.fields = (*refusal.fields, ALLOW_ORIGIN)
            raise
        if bears and response.upgrade is None:
            response.fields.append(ALLOW_ORIGIN)
        return response

    return handler
