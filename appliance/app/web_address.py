"""Where browsers and JMAP clients find the server."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.config.settings import host_and_port
from appliance.mail.errors import PillarboxError
from appliance.runtime.host import host_addresses

if TYPE_CHECKING:
    from .components import Components


def https_port(components: "Components") -> int:
    """The port of the first https listener; 0 where there is none."""
    found = components.settings.listen.addresses("https")
    return host_and_port(found[0])[1] if found else 0


def base_url(components: "Components") -> str:
    """Scheme, name and port, without a slash at the end."""
    port = https_port(components)
    return f"https://{components.host_name()}" + (f":{port}" if port not in (0, 443) else "")


def jmap_url(components: "Components") -> str:
    """Of JMAP's session object; "" where nobody answers https."""
    return base_url(components) + "/jmap/session" if components.settings.listen.addresses("https") else ""


async def own_addresses(resolve: Callable[[str], Awaitable[tuple[str, ...]]], host_name: str) -> tuple[str, ...]:
    """Those of the interfaces, and what the DNS has for the server: behind a router that is the router's, whose ports may lead back in."""
    found = tuple(host_addresses())
    with suppress(PillarboxError):
        found += await resolve(host_name)
    return found
