"""SMTP's door: port 25 for strangers, 587 and 465 for the server's people, and what their sessions share.

The listener calls `handle` for each client and guards it; PeerGone may come out of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.mail.limits import MESSAGE_OCTETS, RECIPIENTS, SMTP_COMMAND_S, SMTP_ERRORS, SMTP_MESSAGE_S

from .commands import CORE
from .extension import CommandTables
from .extensions.table import EXTENSIONS
from .own_names import NO_NAMES, OwnNames, no_addresses
from .rights import NO_REMOTE_ADDRESSES, RemoteAddresses
from .session import Session

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory
    from appliance.accounts.send_quota import SendQuota
    from appliance.auth.mechanisms import Mechanisms
    from appliance.delivery.intake import Intake
    from appliance.mail.clock import Clock
    from appliance.network.stream import Stream
    from appliance.status.board import Board


@dataclass(frozen=True, slots=True)
class Options:
    """SMTP's slice of the settings.

    `host_name` is the name in greetings and Received. `forged_own_sender` is "refuse", "mark" or "accept": a stranger who
    claims one of our addresses ("refuse" concerns the envelope; a From field alone is marked, since mailing lists send
    people's own messages back to them). `others_as_sender` is "refuse" or "accept". `greet_pause_s`: how long port 25 waits
    for those who speak before the greeting; 0 for not at all, since everybody else would wait as long.
    """

    host_name: str = "localhost"
    message_octets: int = MESSAGE_OCTETS
    recipients: int = RECIPIENTS
    forged_own_sender: str = "refuse"
    others_as_sender: str = "refuse"
    sign_in_on_25: bool = False
    greet_pause_s: float = 0.0
    command_s: float = SMTP_COMMAND_S
    message_s: float = SMTP_MESSAGE_S
    errors: int = SMTP_ERRORS


@dataclass(frozen=True, slots=True)
class SmtpContext:
    """What every session of the service holds."""

    intake: "Intake"
    directory: "Directory"
    mechanisms: "Mechanisms"
    board: "Board"
    clock: "Clock"
    options: Options
    relay_check: RemoteAddresses = NO_REMOTE_ADDRESSES
    sending: "SendQuota | None" = None
    own_names: OwnNames = NO_NAMES
    vocabulary: CommandTables = field(default_factory=lambda: CommandTables(CORE, EXTENSIONS))


class Service:
    """SMTP on all its ports; a stream's `protocol` says which one it is."""

    def __init__(
        self,
        *,
        intake: "Intake",
        directory: "Directory",
        mechanisms: "Mechanisms",
        board: "Board",
        clock: "Clock",
        options: Options | None = None,
        relay_check: RemoteAddresses = NO_REMOTE_ADDRESSES,
        sending: "SendQuota | None" = None,
        own_addresses: Callable[[], Iterable[str]] = no_addresses,
    ) -> None:
        """`ways` knows how messages leave the server and whose rewritten senders lead where; without it none leave. `sending`
        counts what each person sends; None for no limits. `own_addresses` are the interfaces' (`user@[address]`)."""
        options = options or Options()
        own_names = OwnNames(options.host_name, own_addresses)
        self._server = SmtpContext(intake, directory, mechanisms, board, clock, options, relay_check, sending, own_names)

    async def handle(self, stream: "Stream") -> None:
        """One session to its end; TLS of the implicit port is already on. The listener closes the stream."""
        await Session(self._server, stream).run()
