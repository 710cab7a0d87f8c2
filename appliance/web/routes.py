"""Routes: which handler answers which method and path, who may ask it, and how large a body it takes. Tables, nothing else.

A section is a part of the address space whose code is loaded at its first request: what nobody opens costs no memory.

| access     | who may ask                                                                                       |
|------------|---------------------------------------------------------------------------------------------------|
| ANYONE     | everybody                                                                                         |
| NEARBY     | clients with a private address, or of the network of this server (`access.is_nearby`)             |
| SETUP      | NEARBY, while the server has no account                                                           |
| SIGNED_IN  | whoever has a session                                                                             |
| ADMIN      | NEARBY, with the session of an account that administrates (`access.may_administrate`)             |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import trio

from .message import Handler

FORM_OCTETS = 64 * 2**10
"""Largest body of an ordinary form or JSON request."""


class Access(Enum):
    ANYONE = auto()
    NEARBY = auto()
    SETUP = auto()
    SIGNED_IN = auto()
    ADMIN = auto()


@dataclass(frozen=True, slots=True)
class WebRoute:
    """`pattern`: a path in which `{name}` stands for one segment. A route for GET answers HEAD too. `program`: errors are problem
    documents, and a request that changes something carries the token in a field instead of a form (`csrf`). `own_credentials`: the
    handler judges an Authorization field itself (JMAP); cookies do not count, so forged requests are no danger. `before_change`: answered
    also while the password of the session is one that an administrator set."""

    method: str
    pattern: str
    handle: Handler
    access: Access = Access.SIGNED_IN
    body_octets: int = FORM_OCTETS
    program: bool = False
    own_credentials: bool = False
    before_change: bool = False

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The values of the pattern, or None."""
        wanted = self.pattern[1:].split("/")
        if len(wanted) != len(segments):
            return None
        values = {}
        for one, segment in zip(wanted, segments, strict=True):
            if one[:1] == "{":
                if not segment:
                    return None
                values[one[1:-1]] = segment
            elif one != segment:
                return None
        return values


@dataclass(frozen=True, slots=True)
class SiteSection:
    """Everything below `prefix` ("/" or "/name/"); "/name" itself belongs to it too. `load` imports and makes the routes."""

    prefix: str
    load: Callable[[], Sequence[WebRoute]]


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The route of a request; without one `allowed` has the methods that the path knows: () for an unknown path."""

    route: WebRoute | None
    values: dict[str, str]
    allowed: tuple[str, ...] = ()


class WebRoutes:
    """All sections, each loaded once, in a thread."""

    def __init__(self, sections: Sequence[SiteSection]) -> None:
        self._sections = sorted(sections, key=lambda one: -len(one.prefix))
        self._loaded: dict[str, tuple[WebRoute, ...]] = {}
        self._loading = trio.Lock()

    async def find(self, method: str, segments: Sequence[str]) -> RouteMatch:
        path = "/" + "/".join(segments)
        section = next((one for one in self._sections if f"{path}/".startswith(one.prefix)), None)
        if section is None:
            return RouteMatch(None, {})
        if section.prefix not in self._loaded:
            async with self._loading:
                if section.prefix not in self._loaded:
                    self._loaded[section.prefix] = tuple(await trio.to_thread.run_sync(section.load))
        allowed: list[str] = []
        for route in self._loaded[section.prefix]:
            values = route.match(segments)
            if values is None:
                continue
            if route.method == method or (method == "HEAD" and route.method == "GET"):
                return RouteMatch(route, values)
            allowed += [route.method, *(["HEAD"] if route.method == "GET" else [])]
        return RouteMatch(None, {}, tuple(dict.fromkeys(allowed)))
