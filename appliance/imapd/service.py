"""IMAP's door: one session to its end, and what sessions share.

The listener calls `handle` for each client and guards it; PeerGone and PeerSlow may come out of it.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.mail.limits import IMAP_BEFORE_LOGIN_S, IMAP_ERRORS, IMAP_IDLE_S, MESSAGE_OCTETS

from .commands.table import CORE
from .extensions.table import EXTENSIONS
from .registry import Registry
from .session import Session

if TYPE_CHECKING:
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.clock import Clock
    from appliance.network.stream import Stream
    from appliance.store.store import Store


@dataclass(frozen=True, slots=True)
class Options:
    """IMAP's slice of the settings. `host`: the name in the greeting; `errors`: BAD answers in a row that end a session."""

    host: str = "localhost"
    message_octets: int = MESSAGE_OCTETS
    idle_s: float = IMAP_IDLE_S
    before_login_s: float = IMAP_BEFORE_LOGIN_S
    errors: int = IMAP_ERRORS
    login_failures: int = 10


@dataclass(frozen=True, slots=True)
class ImapContext:
    """What every session of the service holds."""

    store: "Store"
    login: "Login"
    mechanisms: "Mechanisms"
    board: Any
    clock: "Clock"
    options: Options
    registry: Registry = field(default_factory=lambda: Registry(CORE, EXTENSIONS))


class Service:
    """IMAP on 143 and 993."""

    def __init__(
        self, *, store: "Store", login: "Login", mechanisms: "Mechanisms", board: Any, clock: "Clock", options: Options | None = None
    ) -> None:
        self._server = ImapContext(store, login, mechanisms, board, clock, options or Options())

    async def handle(self, stream: "Stream") -> None:
        """One session to its end; TLS of the implicit port is already on. The listener closes the stream."""
        await Session(self._server, stream).run()
