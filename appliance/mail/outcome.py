"""The outcome of a delivery attempt for one recipient, as values (RFC 3464 §2.3.3, RFC 3463).

However an attempt ends for a recipient, it is an Outcome, never an exception. By `Reason` the queue decides (defer, bounce, take
another route) and a DSN chooses its sentence.
"""

from dataclasses import dataclass
from enum import Enum

from .reply import Reply


class DsnAction(Enum):
    """The Action field of a DSN (RFC 3464 §2.3.3); a DEFERRED recipient stays in the queue, all others leave it."""

    RELAYED = "relayed"
    DELIVERED = "delivered"
    EXPANDED = "expanded"
    DEFERRED = "delayed"
    FAILED = "failed"


class Reason(Enum):
    """Why an attempt ended so. Where the other server replied, its reply code decides between DEFERRED and FAILED."""

    ACCEPTED = "the next server accepted it"
    REFUSED = "the other server refused it"
    NOT_NOW = "the other server asked to try again later"
    REPUTATION = "the other server does not accept mail from this address"
    UNREACHABLE = "no connection to the other server"
    LOST = "the connection broke off"
    NO_ANSWER = "the other server did not answer in time"
    UNSURE = "the connection broke off before the last reply: the message may arrive twice"
    DNS = "the DNS gave no answer"
    NO_DOMAIN = "no such domain"
    NO_MAIL = "the domain takes no mail"
    LOOP = "the route leads back to this server"
    TLS = "no secure connection could be made"
    SIGN_IN = "the relay did not accept the user name and password"
    CONVERSION = "the message cannot be converted to a form the other server accepts"
    TOO_BIG = "the message is larger than the other server accepts"
    NO_ROUTE = "no route for outgoing mail is set"
    EXPIRED = "it could not be delivered in time"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is an enhanced status code such as "5.1.1" (RFC 3463); `host` the name of the server that replied ("" when none was
    reached) and `reply` its reply; `text` one sentence of ours for users."""

    action: DsnAction
    status: str
    reason: Reason
    text: str
    host: str = ""
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class HostAttempt:
    """One connection to a host, or one that failed. `tls` is "" or "TLSv1.3"; `verified` is "", "none", "certificate", "mta-sts" or
    "dane", or "downgraded" for plain text with a server that spoke TLS before."""

    host: str
    address: str
    port: int
    tls: str
    cipher: str
    verified: str
    duration_s: float
