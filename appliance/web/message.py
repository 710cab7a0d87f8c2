"""HttpRequest, HttpResponse and Handler: the seam between the HTTP edge and whatever answers on it (pages, JMAP, webmail).

A handler gets a HttpRequest and returns a HttpResponse; it knows nothing of sockets and of h11. What is refused is raised as `HttpRefusal`,
and the site words it: a page for people, a problem document (RFC 9457) for programs.

| body of a request   | `await request.body.read()` (all, within the route's limit), or `async for chunk in request.body`      |
| body of a response  | octets; or an async iterator of chunks, sent as they come: with `length`, or chunked                   |
| an event stream     | an iterator and `lasting=True`: cancelled as soon as the client leaves or the server drains            |
| another protocol    | `upgrade`: after status 101 the connection is the function's, with the octets that came early          |

Invariants: a body is read once, in order, and never grows beyond the limit of its route; an iterator given as a body is closed
(`aclose`) however the exchange ends.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from appliance.languages.catalogues import Language
from appliance.mail.errors import MisuseError, PillarboxError
from appliance.protocol.http import form
from appliance.protocol.http.cookie import PREFIX, parse_cookies
from appliance.protocol.http.target import HostName, Target

from .language import language_of

if TYPE_CHECKING:
    from appliance.accounts.push_subscriptions import Credentials
    from appliance.accounts.web_sessions import WebSession
    from appliance.network.stream import Stream

T = TypeVar("T")

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
LANGUAGE_COOKIE = "language"


class HttpRefusal(PillarboxError):
    """The request is not answered as wanted. `text` is a whole sentence for people; `fields` go into the response."""

    def __init__(self, status: int, text: str = "", fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text or str(status))
        self.status = status
        self.text = text
        self.fields = fields


class HttpFields:
    """Header fields; names in lower case."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        """The value; of a field that came several times, all of them in a list (RFC 9110 §5.3)."""
        wanted = name.encode()
        found = [value for key, value in self._pairs if key == wanted]
        return b", ".join(found).decode("latin-1") if found else default

    def __contains__(self, name: str) -> bool:
        wanted = name.encode()
        return any(key == wanted for key, _ in self._pairs)


class HttpBody(Protocol):
    """The body of a request as the edge passes it on."""

    length: int | None
    """In octets, when the client said so; 0 for none."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def read(self) -> bytes:
        """All of it. Raises HttpRefusal(413) when it is larger than the route allows."""
        ...


@dataclass(slots=True)
class HttpRequest:
    """One request. `peer` is the client's address; `local` the address it came to. `outside`: it came through a proxy that said so."""

    method: str
    target: Target
    host: HostName
    fields: HttpFields
    body: HttpBody
    peer: str = ""
    local: str = ""
    secure: bool = True
    stream: "Stream | None" = field(default=None, repr=False)
    values: Mapping[str, str] = field(default_factory=dict)
    """What the pattern of the route matched."""
    session: "WebSession | None" = None
    """Whose request it is; set by the site before the handler is called."""
    credentials: "Credentials | None" = None
    """What it was signed in with; set where JMAP judges it."""
    _form: form.FormData | None = field(default=None, repr=False)

    @property
    def language(self) -> Language:
        """The language of the response: the session's; before sign-in the cookie's; else what the browser prefers."""
        chosen = (self.session.language if self.session else "") or self.cookie(LANGUAGE_COOKIE)
        return language_of(chosen, self.fields.get("accept-language"))

    @property
    def path(self) -> str:
        return self.target.path

    @property
    def origin(self) -> str:
        """Scheme, host and port as the client addressed this server."""
        name = f"[{self.host.name}]" if ":" in self.host.name else self.host.name
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{name}" + (f":{self.host.port}" if self.host.port not in (0, 443 if self.secure else 80) else "")

    @property
    def query(self) -> form.FormData:
        """Raises MisuseError."""
        return form.parse_form(self.target.query.encode())

    def cookie(self, name: str) -> str:
        """The value of our cookie of this name; "" without one."""
        return parse_cookies(self.fields.get("cookie")).get(PREFIX + name, "")

    async def form(self) -> form.FormData:
        """The form in the body, read at the first call. Raises HttpRefusal."""
        if self._form is None:
            if self.fields.get("content-type").partition(";")[0].strip().lower() != form.MEDIA_TYPE:
                raise HttpRefusal(415)
            try:
                self._form = form.parse_form(await self.body.read())
            except MisuseError as error:
                raise HttpRefusal(400, str(error)) from None
        return self._form

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run what may take long; given up when the client leaves meanwhile or the server drains."""
        return await (self.stream.attend(work) if self.stream is not None else work())


Upgrade = Callable[["Stream", bytes], Awaitable[None]]
"""Goes on with the connection after 101: the stream, and octets of the new protocol that came already."""


@dataclass(slots=True)
class HttpResponse:
    """`length`: octets of an iterated body, when known. `cached`: the Cache-Control of a response that may be stored; "" for no-store.
    `tag`: the entity tag, with quotes; with it, conditional requests are answered. `ranges`: octet bodies may be asked for in parts."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    media_type: str = HTML
    fields: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = None
    cached: str = ""
    tag: str = ""
    ranges: bool = False
    lasting: bool = False
    upgrade: Upgrade | None = None


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def redirect(place: str, status: int = 303) -> HttpResponse:
    """To another address of this server; 303 after a form, so that reloading does not send it again (RFC 9110 §15.4.4)."""
    return HttpResponse(status, fields=[("location", place)], media_type=TEXT)
