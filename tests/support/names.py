"""A name server on the loopback that says what the test wants: real questions and answers over UDP and TCP."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trio

from appliance.network.resolver import Resolver

from .clock import HandClock

PATIENCE_S = (0.3, 0.3)
"""How long a resolver of `resolver_of` waits for a server that says nothing."""


class NameServer:
    """`records[name, kind]` are texts of records. A name, or a name and a kind ("mx.far.example AAAA"), in `fails` gets that rcode, one
    in `silent` nothing at all, one in `truncated` has to be asked for by TCP, where one in `no_tcp` gets nothing; `validated` sets the
    AD bit on all answers but those that pass by a name in `unsigned`. Without `edns` a query with an OPT record gets FORMERR."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.ttl_s = 60
        self.fails: dict[str, int] = {}
        self.silent: set[str] = set()
        self.truncated: set[str] = set()
        self.no_tcp: set[str] = set()
        self.unsigned: set[str] = set()
        self.validated = False
        self.edns = True
        self.asked: Counter[str] = Counter()
        self.port = 0

    def add(self, name: str, kind: str, *values: str) -> None:
        self.records.setdefault((name, kind), []).extend(values)

    def answer(self, octets: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{name} {kind}"] += 1
        names = {name, f"{name} {kind}"}
        if names & self.silent or (tcp and names & self.no_tcp):
            return None
        if not self.edns and query.edns >= 0:
            refusal = dns.message.Message(query.id)  # as old servers say it: nothing but the header
            refusal.flags |= dns.flags.QR
            refusal.set_rcode(dns.rcode.FORMERR)
            return refusal.to_wire()
        response = dns.message.make_response(query, recursion_available=True)
        failing = names & self.fails.keys()
        if failing:
            response.set_rcode(self.fails[failing.pop()])
        elif names & self.truncated and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        passed = {name, *(rrset.name.to_text(omit_final_dot=True) for rrset in response.answer)}
        if self.validated and not passed & self.unsigned:
            response.flags |= dns.flags.AD
        return response.to_wire(max_size=65_535 if tcp else 1232)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        while (alias := self.records.get((name, "CNAME"))) and kind != "CNAME":
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl_s, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        values = self.records.get((name, kind))
        if values:
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl_s, "IN", kind, *values))
            return
        soa = f"ns. admin. 1 1 1 1 {self.ttl_s}"
        response.authority.append(dns.rrset.from_text("example.", self.ttl_s, "IN", "SOA", soa))
        if not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)

    async def serve_udp(self, sock: trio.socket.SocketType) -> None:
        while True:
            octets, client = await sock.recvfrom(4096)
            if (response := self.answer(octets, tcp=False)) is not None:
                await sock.sendto(response, client)

    async def serve_tcp(self, stream: trio.SocketStream) -> None:
        octets = bytes(await stream.receive_some(4096))
        response = self.answer(octets[2:], tcp=True)
        if response is not None:
            await stream.send_all(len(response).to_bytes(2, "big") + response)


def resolver_of(server: NameServer, clock: HandClock | None = None, *, trusted: bool = False, cached: int = 2000) -> Resolver:
    """A resolver that asks this server only, and does not wait long."""
    return Resolver([("127.0.0.1", server.port)], clock or HandClock(), trusted=trusted, patience_s=PATIENCE_S, cached=cached)


@asynccontextmanager
async def a_name_server() -> AsyncIterator[NameServer]:
    server = NameServer()
    async with trio.open_nursery() as nursery:
        while True:  # a port that is free for both
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            server.port = listeners[0].socket.getsockname()[1]
            udp = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
            try:
                await udp.bind(("127.0.0.1", server.port))
            except OSError:
                udp.close()
                await listeners[0].aclose()
            else:
                break
        nursery.start_soon(server.serve_udp, udp)
        nursery.start_soon(trio.serve_listeners, server.serve_tcp, listeners)
        yield server
        nursery.cancel_scope.cancel()
        udp.close()
