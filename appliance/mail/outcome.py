"""What became of one recipient in one attempt, as values (RFC 3464 §2.3.3, RFC 3463).

Every way an attempt can end is one Outcome; nothing about a recipient is ever an exception. `Reason` is the table from which
the queue decides (wait, give up, take another route) and notices choose their sentence.
"""

from dataclasses import dataclass
from enum import Enum

from .reply import Reply


class DeliveryStatus(Enum):
    """The action field of a delivery status; `DEFERRED` is the only one that keeps a recipient in the queue."""

    RELAYED = "relayed"
    DELIVERED = "delivered"
    EXPANDED = "expanded"
    DEFERRED = "delayed"
    FAILED = "failed"


class Reason(Enum):
    """Why. The other server's own word decides between DEFERRED and FAILED where it gave one."""

    TAKEN = "the next server took it"
    REFUSED = "the other server refused it"
    NOT_NOW = "the other server asked to come back later"
    REPUTATION = "the other server does not take messages from this line"
    UNREACHABLE = "no connection to the other server"
    LOST = "the connection broke off"
    NO_ANSWER = "the other server did not answer in time"
    UNSURE = "the connection broke off before the last answer: the message may arrive twice"
    DNS = "the name service gave no answer"
    NO_DOMAIN = "no such domain"
    NO_MAIL = "the domain takes no mail"
    LOOP = "the way leads back to this server"
    TLS = "the connection could not be made safe"
    SIGN_IN = "the relay did not accept the name and password"
    CONVERSION = "the message cannot be put into a form the other server takes"
    TOO_BIG = "the message is larger than the other server takes"
    NO_ROUTE = "no way out of the server is set"
    EXPIRED = "it could not be delivered in time"
    CANCELLED = "it was called back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is an enhanced code such as "5.1.1"; `reply` the words of `host`, the name of the other server's server ("" when
    nobody was reached); `text` one sentence of ours for people."""

    delivery_status: DeliveryStatus
    status: str
    reason: Reason
    text: str
    host: str = ""
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class HostAttempt:
    """One conversation with another server: where, how safe, how long. `tls` is "" or "TLSv1.3", `verified` is "", "none",
    "certificate", "mta-sts" or "dane"; or "downgraded" for plain text with a server that spoke TLS before."""

    host: str
    address: str
    port: int
    tls: str
    cipher: str
    verified: str
    duration_s: float
