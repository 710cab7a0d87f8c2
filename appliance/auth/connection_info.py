"""What authentication may know of a connection."""

from dataclasses import dataclass, field

from appliance.network.stream import Stream
from appliance.protocol.sasl.scram import BINDINGS

ANNOUNCED_BINDING = "tls-exporter"


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """`protocol` is the listener's name, `peer` the client's IP address, `secure` TLS on; `channel_binding` maps types to data."""

    protocol: str
    peer: str
    secure: bool
    channel_binding: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: Stream) -> "ConnectionInfo":
        """As the connection is now: STARTTLS makes another."""
        return cls(stream.protocol, stream.peer_host, stream.secure, stream.channel_binding())

    @property
    def announces_plus(self) -> bool:
        """Are -PLUS mechanisms announced? See `mechanisms` for why less often than they are accepted."""
        return ANNOUNCED_BINDING in self.channel_binding

    @property
    def can_bind(self) -> bool:
        """Are -PLUS mechanisms accepted?"""
        return any(kind in self.channel_binding for kind in BINDINGS)
