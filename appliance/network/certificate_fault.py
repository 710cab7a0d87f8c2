"""Why a server's certificate failed verification, as a sentence: expected and found names, dates and our clock, the chain.

The text of a certificate is untrusted: it is shown without control characters, cut to SHOWN characters. Pure.
"""

from collections.abc import Sequence
from time import gmtime, strftime

from appliance.mail.errors import MisuseError, PeerGone

from .x509 import CertificateDetails, parse_der

SHOWN = 100
NAMES = 5
"""Names of a certificate that are shown."""
NOT_YET, EXPIRED = 9, 10
SELF_SIGNED = 18
NO_AUTHORITY = frozenset({2, 19, 20, 21})
OTHER_NAME = frozenset({62, 64})
"""OpenSSL's X509_V_ERR codes."""


class BadCertificate(PeerGone):
    """The certificate failed verification. `code` and `reason` are OpenSSL's, `chain` what the server sent, in DER, its own first."""

    def __init__(self, code: int, reason: str, chain: Sequence[bytes]) -> None:
        super().__init__(f"the certificate was refused: {reason}")
        self.code = code
        self.reason = reason
        self.chain = tuple(chain)


def explain(fault: BadCertificate, host: str, now_at: float) -> str:
    """One sentence; `host` is the expected name, `now_at` the time of verification (UTC seconds)."""
    whose = f"The certificate of {host}"
    try:
        chain = [parse_der(der) for der in fault.chain]
    except MisuseError:
        chain = []
    if not chain:
        return f"{whose} was refused: {shown(fault.reason)}."
    own, clock = chain[0], f"this machine's clock says {_moment(now_at)}"
    if fault.code in OTHER_NAME:
        return f"{whose} is for other names: expected {host}, found {found_names(own)}."
    if fault.code == EXPIRED:
        late = next((one for one in chain if one.not_after_at < now_at), own)
        return f"{whose}{_part(late, own)} expired on {_moment(late.not_after_at)}; {clock}."
    if fault.code == NOT_YET:
        early = next((one for one in chain if one.not_before_at > now_at), own)
        return f"{whose}{_part(early, own)} begins on {_moment(early.not_before_at)}; {clock}."
    if fault.code == SELF_SIGNED:
        return f"{whose} is signed by itself, not by an authority this machine knows."
    if fault.code in NO_AUTHORITY:
        length = f"{len(chain)} certificate{'s' if len(chain) > 1 else ''} shown"
        return f'{whose} does not lead to an authority this machine knows: it ends at "{shown(chain[-1].issuer)}" ({length}).'
    return f"{whose} was refused: {shown(fault.reason)}."


def found_names(facts: CertificateDetails) -> str:
    """The names in a certificate, for display; its common name does not count (RFC 9525 §2)."""
    if not facts.names:
        return f'none (its common name "{shown(facts.subject)}" does not count)' if facts.subject else "none"
    more = f" and {len(facts.names) - NAMES} more" if len(facts.names) > NAMES else ""
    return ", ".join(map(shown, facts.names[:NAMES])) + more


def shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:SHOWN]


def _part(one: CertificateDetails, own: CertificateDetails) -> str:
    return "" if one is own else f' leads to one of "{shown(one.subject)}" that'


def _moment(at: float) -> str:
    return strftime("%Y-%m-%d %H:%M UTC", gmtime(at))
