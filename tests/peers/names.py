"""The name service of the small Internet: bind, with the test's own zones, one of them signed, and a validating resolver.

`Names` serves everything that exists; what does not is NXDOMAIN, and a domain named as broken is SERVFAIL. The server asks the
validator on its own loopback, whose trust anchors are the signed zones' keys: there is no signed root in so small a world.
"""

import signal
import subprocess
from pathlib import Path

from .internet import Host, wait_for

SOA = "$TTL 60\n@ SOA ns.root. admin.root. 1 60 60 600 60\n@ NS ns.root.\n"


class Names:
    """Records are added with `add`; `start` makes the server know them, and may be called again after more were added."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host = host
        self._place = place
        self._records: dict[str, list[str]] = {".": [f"ns.root. A {host.v4}"]}
        self._signed: set[str] = set()
        self._broken: set[str] = set()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def zone(self, name: str, *, signed: bool = False, broken: bool = False) -> None:
        self._records.setdefault(f"{name}.", [])
        if signed:
            self._signed.add(f"{name}.")
        if broken:
            self._broken.add(f"{name}.")

    def add(self, *records: str) -> None:
        """Records with full names, such as "far.example. MX 10 mx.far.example."."""
        for record in records:
            owner = record.split()[0]
            zone = max((zone for zone in self._records if owner == zone or owner.endswith("." + zone) or zone == "."), key=len)
            self._records[zone].append(record)

    def point(self, name: str, host: Host, *, v6: bool = False) -> None:
        """A host's name, and its address's name."""
        self.add(f"{name}. A {host.v4}", f"{host.v4.split('.')[-1]}.0.128.44.in-addr.arpa. PTR {name}.")
        if v6:
            self.add(f"{name}. AAAA {host.v6}")

    def start(self) -> None:
        self.stop()
        self._place.mkdir(exist_ok=True)
        zones = ""
        for zone, records in self._records.items():
            file = self._place / f"zone-{zone}"
            if zone in self._broken:
                file.write_text("this is no zone\n")
            else:
                file.write_text(SOA + "\n".join(records) + "\n")
            if zone in self._signed:
                file = self._sign(zone, file)
            zones += f'zone "{zone}" {{ type primary; file "{file}"; }};\n'
        options = f"listen-on {{ {self.host.v4}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no;"
        self._serve("all", self.host, options, zones, self.host.v4)

    def validator(self, on: Host) -> None:
        """A resolver at 127.0.0.1 of that host; it sets the AD bit on what the signed zones' keys prove."""
        anchors = "".join(f'"{zone}" static-key {self._key(zone)};\n' for zone in self._signed)
        options = (
            "listen-on { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; dnssec-validation yes; "
            f"forward only; forwarders {{ {self.host.v4}; }}; max-cache-ttl 5; max-ncache-ttl 5;"
        )
        self._serve("validator", on, options, f"trust-anchors {{\n{anchors}}};\n" if anchors else "", "127.0.0.1")

    def _serve(self, name: str, host: Host, options: str, rest: str, address: str) -> None:
        place = self._place / name
        place.mkdir(exist_ok=True)
        conf = place / "named.conf"
        own = f'directory "{place}"; pid-file none; session-keyfile none; allow-query {{ any; }};'
        conf.write_text(f"options {{ {own} {options} }};\ncontrols {{ }};\n{rest}")
        log = (place / "log").open("wb")
        words = ["ip", "netns", "exec", host.space, "named", "-g", "-n", "1", "-c", str(conf)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self._running[name] = process

        def answers() -> bool:
            assert process.poll() is None, (place / "log").read_text()
            ask = ["ip", "netns", "exec", host.space, "dig", "+time=1", "+tries=1", "+short", f"@{address}", "ns.root.", "A"]
            return self.host.v4 in subprocess.run(ask, capture_output=True, text=True, check=False).stdout

        wait_for(answers, f"named on {host.name} does not answer")

    def _sign(self, zone: str, file: Path) -> Path:
        keys = self._place / "keys"
        keys.mkdir(exist_ok=True)
        if not list(keys.glob(f"K{zone}+*.key")):
            words = ["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", str(keys), zone]
            subprocess.run(words, check=True, capture_output=True)
            subprocess.run([word for word in words if word not in ("-f", "KSK")], check=True, capture_output=True)
        words = ["dnssec-signzone", "-q", "-S", "-K", str(keys), "-d", str(keys), "-o", zone, "-f", f"{file}.signed", str(file)]
        subprocess.run(words, check=True, capture_output=True)
        return file.with_name(file.name + ".signed")

    def _key(self, zone: str) -> str:
        """The zone's key as a trust anchor has it."""
        for file in (self._place / "keys").glob(f"K{zone}+*.key"):
            words = file.read_text().splitlines()[-1].split()
            if words[3] == "257":
                return f'{words[3]} {words[4]} {words[5]} "{"".join(words[6:])}"'
        raise AssertionError(f"{zone} has no key")

    def stop(self, *names: str) -> None:
        """All of them, or the named ones ("all", "validator")."""
        for name in names or list(self._running):
            process = self._running.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
