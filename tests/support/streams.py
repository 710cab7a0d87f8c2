"""Connections in memory: a server's Stream and its client's end, on any clock."""

import trio
from trio.testing import memory_stream_pair

from appliance.network.stream import Stream, TlsSource

ClientStream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]


def stream_pair(
    protocol: str = "smtp",
    *,
    peer: tuple[str, int] = ("192.0.2.7", 40000),
    local: tuple[str, int] = ("192.0.2.1", 25),
    tls: TlsSource | None = None,
) -> tuple[Stream, ClientStream]:
    """(the server's Stream, the client's trio stream); `tls` lets the Stream start TLS."""
    server, client = memory_stream_pair()
    return Stream(server, protocol, peer=peer, local=local, tls=tls), client
