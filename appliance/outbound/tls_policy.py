"""The TLS policy towards one host: DANE, MTA-STS, REQUIRETLS, TLS used before, or opportunistic TLS.

The first row that applies decides; the levels are those of Postfix:

| what is known                                   | level     | source       | when it is not met                                 |
|-------------------------------------------------|-----------|--------------|----------------------------------------------------|
| TLSA records, DNSSEC-validated (RFC 7672)       | dane      | dane         | the next host; none left: deferred                 |
| unusable TLSA records only                      | encrypt   | dane         | the same                                           |
| an MTA-STS policy "enforce" (RFC 8461)          | verify    | mta-sts      | the same; a host it does not name is not tried     |
| REQUIRETLS on the message (RFC 8689)            | verify    | requiretls   | 5.7.30 where the host's name is not authenticated  |
| the domain used TLS in the last SEEN_S          | encrypt   | remembered   | deferred for GIVES_IN_S; then plain text, noted    |
| nothing                                         | may       |              | plain text                                         |

A lookup of TLSA in a signed zone must not fail silently: no answer is deferred (RFC 7672 §2.1.1). Unsigned zones are not queried.
Remembering TLS costs one lazy row for a domain in RENEWED_S. In memory: REMEMBERED domains.
"""

import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.errors import LookupTrouble, MisuseError
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.sentence import Sentence
from appliance.network.resolver import Resolver, Tlsa
from appliance.network.tls_end import require_close_notify

from . import dane
from .mta_sts import StsPolicies, matches
from .mx import MailHost

DAY_S = 86_400
SEEN_S = 90 * DAY_S
RENEWED_S = 30 * DAY_S
GIVES_IN_S = 1.0 * DAY_S
REMEMBERED = 1000


def make_context(level: str) -> ssl.SSLContext:
    """A client context: "verify" checks name and chain with the CA certificates of this machine, other levels check nothing."""
    if level == "verify":
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return require_close_notify(context)


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """`level` and `source` as in the table above; `names` are the host's and the domain's, `records` the usable TLSA records."""

    level: str
    source: str = ""
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()
    now_at: float = 0.0
    make: Callable[[str], ssl.SSLContext] = make_context

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 at least; the context itself verifies only at level "verify"."""
        return self.make("verify" if self.level == "verify" else "any")

    def check(self, chain: Sequence[bytes], host: str) -> str:
        """How the server was authenticated, for the history: "dane", "mta-sts", "certificate" or "none". Raises MisuseError."""
        if self.level == "dane":
            if not dane.verify(self.records, chain, self.names, self.now_at):
                reason = dane.fault(self.records, chain, self.names, self.now_at)
                raise MisuseError(f"the certificate of {host} is not the one its domain published (DANE): {reason}")
            return "dane"
        if self.level == "verify":
            return "mta-sts" if self.source == "mta-sts" else "certificate"
        return "none"


class TlsPolicies:
    """The TlsPolicySource of `smtp_transport`."""

    def __init__(
        self,
        *,
        names: Resolver,
        database: AnyDatabase,
        clock: Clock,
        policies: StsPolicies,
        port: int = 25,
        make: Callable[[str], ssl.SSLContext] = make_context,
    ) -> None:
        self._names = names
        self._database = database
        self._clock = clock
        self._policies = policies
        self._port = port
        self._make = cache(make)  # the CA certificates of a machine take milliseconds to read
        self._seen: OrderedDict[str, int] = OrderedDict()
        """When each domain was last recorded as using TLS; 0 for never."""
        self._refused: OrderedDict[str, float] = OrderedDict()

    async def policy_for(self, domain: str, host: MailHost, *, require_tls: bool) -> TlsPolicy | Outcome:
        """The policy for this host of the domain, or why it must not be used now."""
        try:
            dane_policy = await self._dane(domain, host)
        except LookupTrouble as trouble:
            text = Sentence("The keys of %(host)s could not be looked up: %(trouble)s.", host=host.name, trouble=trouble)
            return Outcome(DsnAction.DEFERRED, "4.7.5", Reason.DNS, text, host.name)
        if dane_policy is not None and (dane_policy.level == "dane" or not require_tls):
            return dane_policy
        policy = await self._policies.of(domain) if not domain.startswith("[") else None
        if policy is not None and policy.mode == "enforce":
            if not any(matches(pattern, host.name) for pattern in policy.hosts):
                text = Sentence("%(host)s is not named in the MTA-STS policy of %(domain)s.", host=host.name, domain=domain)
                return Outcome(DsnAction.DEFERRED, "4.7.5", Reason.TLS, text, host.name)
            return TlsPolicy("verify", "mta-sts", make=self._make)
        if require_tls:
            if host.secure:
                return TlsPolicy("verify", "requiretls", make=self._make)
            text = Sentence(
                "The message requires TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS confirms that %(host)s is a mail server of "
                "%(domain)s.",
                host=host.name,
                domain=domain,
            )
            return Outcome(DsnAction.FAILED, "5.7.30", Reason.TLS, text, host.name)
        if await self._spoke_tls(domain) and not self.downgraded(domain):
            return TlsPolicy("encrypt", "remembered", make=self._make)
        return TlsPolicy("may", make=self._make)

    async def _dane(self, domain: str, host: MailHost) -> TlsPolicy | None:
        """The policy of the host's TLSA records: those at the end of its CNAMEs, and only where there are none those at its own name
        (RFC 7672 §2.2.2). None where there are none or they are not DNSSEC-validated."""
        if not (host.secure or host.alias) or host.name.startswith("["):
            return None
        for base in (host.expanded, host.name) if host.expanded else (host.name,):
            answer = await self._names.tlsa(f"_{self._port}._tcp.{base}")
            if not answer.secure or not answer.values:
                continue
            records = dane.usable(answer.values)
            if not records:
                return TlsPolicy("encrypt", "dane", make=self._make)
            names = tuple(dict.fromkeys((base, host.name, domain)))
            return TlsPolicy("dane", "dane", names, records, self._clock.wall_s(), self._make)
        return None

    async def _spoke_tls(self, domain: str) -> bool:
        if domain not in self._seen:
            self._remember(self._seen, domain, await self._database.read(partial(_seen_at, domain)))
        seen = self._seen[domain]
        return bool(seen) and (not self._clock.trusted() or self._clock.wall_s() - seen < SEEN_S)

    async def record_session(self, domain: str, host: str, tls: str, verified: str) -> None:
        """An SMTP session was opened: `tls` is its TLS version or ""."""
        if not tls:
            return
        self._refused.pop(domain, None)
        await self._spoke_tls(domain)
        now = int(self._clock.wall_s())
        if self._clock.trusted() and now - self._seen[domain] > RENEWED_S:
            self._remember(self._seen, domain, now)
            self._database.write_lazily(partial(_keep, domain, now, tls))

    def record_failure(self, domain: str) -> None:
        """TLS was not offered any more, or failed."""
        if domain not in self._refused:
            self._remember(self._refused, domain, self._clock.mono_s())

    def downgraded(self, domain: str) -> bool:
        """The domain used TLS before and has failed to for GIVES_IN_S: plain text is allowed now."""
        since = self._refused.get(domain)
        return since is not None and self._clock.mono_s() - since >= GIVES_IN_S

    @staticmethod
    def _remember(table: "OrderedDict[str, int] | OrderedDict[str, float]", domain: str, value: float) -> None:
        table[domain] = value  # type: ignore[assignment]
        table.move_to_end(domain)
        if len(table) > REMEMBERED:
            table.popitem(last=False)


def _seen_at(domain: str, connection: Any) -> int:
    row = connection.execute("SELECT seen_at FROM tls_memory WHERE domain = ?", (domain,)).fetchone()
    return row[0] if row else 0


def _keep(domain: str, now: int, tls: str, transaction: Transaction) -> None:
    transaction.execute(
        "INSERT INTO tls_memory VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at, tls = excluded.tls",
        (domain, now, tls),
    )
    transaction.execute("DELETE FROM tls_memory WHERE seen_at < ?", (now - SEEN_S,))
