"""MTA-STS: policies by which domains name their MX hosts and require verified TLS (RFC 8461).

Rules: a TXT record announces a policy and its id (§3.1); the policy is fetched by HTTPS with a verified certificate (§3.3) when the
id is new, and valid until its max_age is over, also when the record or the fetch fails meanwhile (§3.2, §5.1). "enforce" binds,
"testing" and "none" do not. A host pattern's "*" stands for exactly one label (§4.1).
Known gap: no report is sent to domains that ask for one (RFC 8460).
Stored in the database by lazy writes; at most POLICIES, those that expire first are deleted. Failures are no policy: `of` returns None.
"""

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.clock import Clock
from appliance.mail.errors import LookupTrouble, MisuseError, PeerError
from appliance.network.https import get
from appliance.network.resolver import Resolver, addresses_of

LONGEST_S = 31_557_600
"""§3.2: a year at most."""
MOST_OCTETS = 64 * 2**10
FETCH_S = 60.0
"""§3.3: a minute is suggested."""
PATH = "/.well-known/mta-sts.txt"
HOSTS = 100
POLICIES = 1000
FRESH = 100
AGAIN_S = 300.0
"""Wait before a failed fetch is tried again (§3.3)."""
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """`mode` is "enforce", "testing" or "none"; `hosts` patterns in lower case; `max_age_s` seconds it is valid."""

    mode: str
    hosts: tuple[str, ...]
    max_age_s: int


def parse_record(values: tuple[bytes, ...]) -> str | None:
    """The id of the one TXT record that is an MTA-STS record (§3.1); None for none, several or a malformed one."""
    ours = [value for value in values if value.startswith(b"v=STSv1") and value[7:8] in (b"", b";", b" ", b"\t")]
    if len(ours) != 1:
        return None
    fields: dict[str, str] = {}
    for part in ours[0].decode("ascii", "replace").split(";")[1:]:
        name, found, value = part.strip(" \t").partition("=")
        if found:
            fields.setdefault(name.strip(), value.strip())
    name = fields.get("id", "")
    return name if _ID.fullmatch(name) else None


def parse_policy(octets: bytes) -> StsPolicy:
    """A policy's text (§3.2); unknown fields are ignored; of repeated fields other than `mx` the first counts. Raises MisuseError."""
    try:
        lines = octets.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise MisuseError("the policy is not UTF-8") from None
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in lines:
        name, found, value = line.partition(":")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not found:
            if line.strip(" \t"):
                raise MisuseError("a line of the policy has no name")
        elif name == "mx":
            hosts.append(value.lower().rstrip("."))
        else:
            fields.setdefault(name, value)
    if fields.get("version") != "STSv1":
        raise MisuseError("the policy is of no known version")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise MisuseError("the policy has no known mode")
    if not age.isascii() or not age.isdecimal() or len(age) > 10:
        raise MisuseError("the policy does not say how long it is valid")
    if len(hosts) > HOSTS or not all(map(_PATTERN.fullmatch, hosts)) or (not hosts and mode != "none"):
        raise MisuseError("the policy names no hosts or invalid ones")
    return StsPolicy(mode, tuple(hosts), min(int(age), LONGEST_S))


def matches(pattern: str, host: str) -> bool:
    """Does the host match the pattern? (§4.1)"""
    host = host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host
    label, dot, rest = host.partition(".")
    return bool(label and dot) and rest == pattern[2:]


Fetch = Callable[[str], Awaitable[tuple[str, bytes]]]
"""`fetch(domain)`: (media type, octets) of its policy. Raises PeerError, MisuseError, LookupTrouble."""


def fetcher(names: Resolver, context: Callable[[], ssl.SSLContext], port: int = 443) -> Fetch:
    """A Fetch by HTTPS; `context` is called when the first policy is fetched."""
    made: list[ssl.SSLContext] = []

    async def fetch(domain: str) -> tuple[str, bytes]:
        if not made:
            made.append(context())
        host = f"mta-sts.{domain}"
        addresses = [(address, port) for address in (await addresses_of(names, host)).values]
        return await get(host, PATH, addresses, made[0], most_octets=MOST_OCTETS, timeout_s=FETCH_S)

    return fetch


class PolicyRow(NamedTuple):
    """A policy as it is kept: the id of its record, the document, when it expires in UTC seconds."""

    id: str
    policy: bytes
    expires_at: int


class StsPolicies:
    """The policies that are valid now, in the table mta_sts_policy."""

    def __init__(self, *, names: Resolver, database: AnyDatabase, clock: Clock, fetch: Fetch) -> None:
        self._names = names
        self._database = database
        self._clock = clock
        self._fetch = fetch
        self._tried: dict[str, float] = {}
        self._fresh: dict[str, PolicyRow] = {}
        """Fetched in this run and perhaps not written yet."""

    async def of(self, domain: str) -> StsPolicy | None:
        """The policy of a domain in A-labels, or None. Queries the DNS, and the domain's web server when the id is new."""
        row = self._fresh.get(domain) or await self._database.read(partial(_load, domain))
        if row is not None and self._clock.trusted() and row.expires_at <= self._clock.wall_s():
            row = None
        kept = _parsed(row.policy) if row is not None else None
        try:
            name = parse_record((await self._names.txt(f"_mta-sts.{domain}")).values)
        except LookupTrouble:
            return kept
        if name is None or (row is not None and kept is not None and row.id == name):
            return kept
        now = self._clock.mono_s()
        if self._tried.get(domain, float("-inf")) + AGAIN_S > now:
            return kept
        self._tried[domain] = now
        if len(self._tried) > POLICIES:
            self._tried.pop(next(iter(self._tried)))
        try:
            kind, octets = await self._fetch(domain)
            policy = parse_policy(octets)
        except (PeerError, MisuseError, LookupTrouble):
            return kept
        if kind != "text/plain":
            return kept
        until = int(self._clock.wall_s()) + policy.max_age_s
        self._fresh[domain] = PolicyRow(name, octets, until)
        if len(self._fresh) > FRESH:
            self._fresh.pop(next(iter(self._fresh)))
        self._database.write_lazily(partial(_keep, domain, name, octets, until))
        return policy


def _parsed(octets: bytes) -> StsPolicy | None:
    try:
        return parse_policy(octets)
    except MisuseError:
        return None


def _load(domain: str, connection: Any) -> PolicyRow | None:
    row = connection.execute("SELECT id, policy, expires_at FROM mta_sts_policy WHERE domain = ?", (domain,)).fetchone()
    return PolicyRow._make(row) if row else None


def _keep(domain: str, name: str, octets: bytes, until: int, transaction: Transaction) -> None:
    transaction.execute(
        "INSERT INTO mta_sts_policy VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id, policy = excluded.policy,"
        " expires_at = excluded.expires_at",
        (domain, name, octets, until),
    )
    transaction.execute(
        "DELETE FROM mta_sts_policy WHERE domain IN (SELECT domain FROM mta_sts_policy ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
        (POLICIES,),
    )
