"""The SMTP server's state table (RFC 5321 §3, §4.1.4; RFC 3030, 3207, 4954).

| state      | events                                                                                              |
|------------|-----------------------------------------------------------------------------------------------------|
| GREETED    | EHLO, HELO → READY · STARTTLS → HANDSHAKE                                                            |
| READY      | MAIL → SENDER · AUTH → AUTHENTICATING · STARTTLS → HANDSHAKE                                                |
| SENDER     | RCPT → RECIPIENTS                                                                                    |
| RECIPIENTS | RCPT · DATA → TEXT · BDAT → CHUNKS                                                                   |
| TEXT       | the message's octets up to CRLF.CRLF; OVER → READY                                                    |
| CHUNKS     | BDAT; OVER (last chunk judged, or a chunk refused) → READY                                           |
| AUTHENTICATING | SASL challenges and responses; OVER → READY                                                          |
| HANDSHAKE  | TLS; OVER → GREETED, everything sent before is forgotten (RFC 3207 §4.2)                             |
| CLOSED     | nothing                                                                                              |

RSET, EHLO and HELO lead from every state that waits for commands to READY (RSET leaves GREETED as it is); VRFY, EXPN, HELP
and NOOP stay; QUIT and CLOSE (a fault, a deadline, the peer gone) lead to CLOSED from everywhere they can happen.
A command is *checked* against the state first, which changes nothing, and moves it on only once it was carried out:
a refused MAIL leaves READY as it was. A pair in neither table is a bug and raises KeyError.
"""

from enum import Enum

from appliance.mail.reply import Reply


class SmtpState(Enum):
    GREETED = "greeted"
    READY = "ready"
    SENDER = "sender"
    RECIPIENTS = "recipients"
    TEXT = "text"
    CHUNKS = "chunks"
    AUTHENTICATING = "authenticating"
    HANDSHAKE = "handshake"
    CLOSED = "closed"


class SmtpEvent(Enum):
    """A client's command, OVER when what a state was for has ended, CLOSE when the session has."""

    EHLO = "EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    AUTH = "AUTH"
    STARTTLS = "STARTTLS"
    RSET = "RSET"
    ASIDE = "VRFY, EXPN, HELP, NOOP"
    QUIT = "QUIT"
    OVER = "over"
    CLOSE = "close"


_G, _R, _S, _RC, _C = SmtpState.GREETED, SmtpState.READY, SmtpState.SENDER, SmtpState.RECIPIENTS, SmtpState.CHUNKS
_WAITING = (_G, _R, _S, _RC, _C)

_EHLO_FIRST = Reply(503, "5.5.1", ("Send EHLO first.",))
_MAIL_FIRST = Reply(503, "5.5.1", ("Name the sender of the message first: MAIL FROM.",))
_RCPT_FIRST = Reply(503, "5.5.1", ("This message has no recipient yet: RCPT TO comes first.",))
_ONE_MESSAGE = Reply(503, "5.5.1", ("A message has been begun already; RSET drops it.",))
_CHUNKED = Reply(503, "5.5.1", ("The message is coming in chunks: go on with BDAT, or drop it with RSET.",))
_NOT_NOW = Reply(503, "5.5.1", ("Not in the middle of a message; RSET drops it.",))

NEXT: dict[tuple[SmtpState, SmtpEvent], SmtpState] = {
    **{(state, SmtpEvent.EHLO): _R for state in _WAITING},
    **{(state, SmtpEvent.RSET): _R for state in _WAITING if state is not _G},
    (_G, SmtpEvent.RSET): _G,
    **{(state, SmtpEvent.ASIDE): state for state in _WAITING},
    **{(state, SmtpEvent.QUIT): SmtpState.CLOSED for state in _WAITING},
    **{(state, SmtpEvent.CLOSE): SmtpState.CLOSED for state in SmtpState},
    (_R, SmtpEvent.MAIL): _S,
    (_S, SmtpEvent.RCPT): _RC,
    (_RC, SmtpEvent.RCPT): _RC,
    (_RC, SmtpEvent.DATA): SmtpState.TEXT,
    (_RC, SmtpEvent.BDAT): _C,
    (_C, SmtpEvent.BDAT): _C,
    (_R, SmtpEvent.AUTH): SmtpState.AUTHENTICATING,
    (_G, SmtpEvent.STARTTLS): SmtpState.HANDSHAKE,
    (_R, SmtpEvent.STARTTLS): SmtpState.HANDSHAKE,
    (SmtpState.TEXT, SmtpEvent.OVER): _R,
    (_C, SmtpEvent.OVER): _R,
    (SmtpState.AUTHENTICATING, SmtpEvent.OVER): _R,
    (SmtpState.HANDSHAKE, SmtpEvent.OVER): _G,
}
"""The state after a command that was carried out."""

REFUSALS: dict[tuple[SmtpState, SmtpEvent], Reply] = {
    **{(_G, event): _EHLO_FIRST for event in (SmtpEvent.MAIL, SmtpEvent.RCPT, SmtpEvent.DATA, SmtpEvent.BDAT, SmtpEvent.AUTH)},
    (_R, SmtpEvent.RCPT): _MAIL_FIRST,
    (_R, SmtpEvent.DATA): _MAIL_FIRST,
    (_R, SmtpEvent.BDAT): _MAIL_FIRST,
    (_S, SmtpEvent.MAIL): _ONE_MESSAGE,
    (_S, SmtpEvent.DATA): _RCPT_FIRST,
    (_S, SmtpEvent.BDAT): _RCPT_FIRST,
    (_RC, SmtpEvent.MAIL): _ONE_MESSAGE,
    (_C, SmtpEvent.MAIL): _CHUNKED,
    (_C, SmtpEvent.RCPT): _CHUNKED,
    (_C, SmtpEvent.DATA): _CHUNKED,
    **{(state, event): _NOT_NOW for state in (_S, _RC, _C) for event in (SmtpEvent.AUTH, SmtpEvent.STARTTLS)},
}
"""The reply to a command that comes at the wrong time; it changes nothing."""


class SmtpServerState:
    """The state of one session."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = SmtpState.GREETED

    def check(self, event: SmtpEvent) -> Reply | None:
        """The refusal of a command that comes at the wrong time, or None."""
        return REFUSALS.get((self.state, event))

    def proceed(self, event: SmtpEvent) -> SmtpState:
        """The command was carried out, or what the state was for is over: go on."""
        self.state = NEXT[self.state, event]
        return self.state

    @property
    def open(self) -> bool:
        return self.state is not SmtpState.CLOSED
