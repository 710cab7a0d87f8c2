"""The real command with a DNS server and scripted mail servers on loopback addresses, all on one port.

`with Neighbours(place) as world:` — `world.peer("far.example", ...)` is another mail server, `world.server` runs with short retry
intervals, `world.send(...)` submits a message as Ada.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

import trio

from .names import NameServer, a_name_server
from .peer import Peer, Taken
from .server import Pillarbox, free_ports, new_data, pillarbox
from .wire import PASSWORD, Smtp

SETTINGS = """
[sending]
name_servers = "127.0.0.1#{names}"
private_addresses = true
port = {port}
retry_first_s = {first}
retry_most_s = {most}
give_up_s = {give_up}
delay_notification_s = {late}
{more}
"""


class Neighbours:
    """`more`: further lines of the section [sending]; `after`: further sections."""

    def __init__(
        self, place: Path, *, first: int = 1, most: int = 2, give_up: int = 3600, late: int = 1800, more: str = "", after: str = "",
        accounts: tuple[str, ...] = ("ada", "ben"), domain: str = "home.example",
    ) -> None:  # fmt: skip
        self.place = place
        self.port = free_ports(1)[0]
        self._words = {"first": first, "most": most, "give_up": give_up, "late": late, "more": more}
        self._after = after
        self._accounts, self._domain = accounts, domain
        self._peers: list[Peer] = []
        self.names: NameServer
        self.server: Pillarbox

    def __enter__(self) -> "Neighbours":
        up = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve_names, up), daemon=True)
        self._thread.start()
        assert up.wait(10)
        self.data = new_data(self.place / "data", *self._accounts, domain=self._domain)
        self.settings = self.place / "pillarbox.toml"
        self.write_settings()
        self.server = Pillarbox(self.data, "--settings", str(self.settings), domain=self._domain)
        return self

    def write_settings(self, **changed: Any) -> None:
        self._after = changed.pop("after", self._after)
        self._words |= changed
        self.settings.write_text(SETTINGS.format(names=self.names.port, port=self.port, **self._words) + self._after)

    def __exit__(self, *_: object) -> None:
        self.server.kill()
        for peer in self._peers:
            peer.__exit__()
        self._token.run_sync_soon(self._over.set)
        self._thread.join(5)

    async def _serve_names(self, up: threading.Event) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        async with a_name_server() as self.names:
            up.set()
            await self._over.wait()

    def peer(self, domain: str, **words: Any) -> Peer:
        """Another mail server for the domain, with its own address."""
        address = f"127.0.1.{len(self._peers) + 1}"
        peer = Peer(host=address, port=self.port, **words)
        peer.__enter__()
        self._peers.append(peer)
        others = len(self.names.records.get((domain, "MX"), ()))
        self.names.add(domain, "MX", f"{10 * (1 + others)} mx{len(self._peers)}.{domain}.")
        self.names.add(f"mx{len(self._peers)}.{domain}", "A", address)
        return peer

    def send(self, *to: str, subject: str = "hello", sender: str = "ada", mail: str = "", rcpt: str = "", body: str = "words") -> str:
        """Submit a message as one of the accounts; the id that the server gave it. `mail` and `rcpt` are further parameters."""
        reply = self.submit(*to, subject=subject, sender=sender, mail=mail, rcpt=rcpt, body=body)
        assert reply.startswith("250"), reply
        return reply.split()[-1].rstrip(".")

    def submit(self, *to: str, subject: str = "hello", sender: str = "ada", mail: str = "", rcpt: str = "", body: str = "words") -> str:
        """The same; returns the last reply."""
        me = f"{sender}@{self._domain}"
        with Smtp(self.server.ports["submission"]) as smtp:
            smtp.sign_in(me, PASSWORD)
            for line in (f"MAIL FROM:<{me}>{mail}", *(f"RCPT TO:<{one}>{rcpt}" for one in to), "DATA"):
                reply = smtp.ask(line.encode())
                if reply[:1] not in (b"2", b"3"):
                    return reply.decode().strip()
            text = f"From: {me}\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\n\r\n{body}\r\n"
            smtp.send(text.encode() + b".\r\n")
            return smtp.reply().decode().strip()

    def send_many(self, count: int, sessions: int, to: str = "bob@far.example", octets: int = 4000) -> int:
        """`count` messages to one address from several concurrent sessions; octets of all of them."""
        me = f"{self._accounts[0]}@{self._domain}"
        text = f"From: {me}\r\nTo: {to}\r\nSubject: many\r\n\r\n".encode() + b"some words of a message\r\n" * (octets // 24)
        faults: list[BaseException] = []

        def work(number: int) -> None:
            try:
                with Smtp(self.server.ports["submission"]) as smtp:
                    smtp.sign_in(me, PASSWORD)
                    for _ in range(number):
                        for line in (f"MAIL FROM:<{me}>", f"RCPT TO:<{to}>", "DATA"):
                            assert smtp.ask(line.encode())[:1] in b"23"
                        smtp.send(text + b".\r\n")
                        assert smtp.reply().startswith(b"250")
            except BaseException as fault:
                faults.append(fault)

        shares = [count // sessions + (number < count % sessions) for number in range(sessions)]
        threads = [threading.Thread(target=work, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults, faults[0]
        return count * len(text)

    def ask(self, *words: str) -> Any:
        """The JSON output of a command."""
        return json.loads(pillarbox(*words, "--json", data=self.data).stdout)

    def track(self, message: str) -> list[str]:
        """The kinds of the history lines of a message."""
        return [event["event"] for event in self.ask("message", "track", message)["events"]]

    @staticmethod
    def arrived(peer: Peer, count: int = 1, patience_s: float = 15.0) -> list[Taken]:
        """The messages of the peer once there are `count`."""
        deadline = time.monotonic() + patience_s
        while len(peer.messages) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(peer.messages) >= count, f"{len(peer.messages)} messages of {count}; {peer.commands}"
        return peer.messages

    def until(self, holds: Any, patience_s: float = 15.0) -> None:
        deadline = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < deadline, self.server.log.read_text()[-3000:]
            time.sleep(0.05)
