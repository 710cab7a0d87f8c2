"""`make thunderbird-test`: Debian's Thunderbird, without a window, against a real server. What it shows and what is on the server are
compared after each step, octets and flags. Not in `make test`: Thunderbird is 300 MB."""

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.clients.conftest import ADA, AWKWARD, BEN, Served, message
from tests.clients.marionette import Marionette
from tests.support.needs import program
from tests.support.server import PASSWORD, Pillarbox, free_ports, new_data, pillarbox
from tests.support.wire import eventually

SCRIPT = Path(__file__).with_suffix(".js").read_text()
START_S = 300
PATIENCE_S = 60
MAILBOXES = 6
"""INBOX and those of special use."""

LARGE = (
    message(20).partition(b"\r\n\r\n")[0]
    + b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=here\r\n\r\n--here\r\nContent-Type: text/plain; charset=utf-8\r\n"
    + "Content-Transfer-Encoding: 8bit\r\n\r\nSchöne Grüße\r\n".encode()
    + b"From here on\r\n>From there\r\n.\r\n..\r\n--here\r\nContent-Type: application/octet-stream; name=noise\r\n"
    + b"Content-Transfer-Encoding: binary\r\nContent-Disposition: attachment\r\n\r\n"
    + b"\r\n".join([bytes(octet for octet in range(1, 256) if octet not in b"\r\n")] * 1000)
    + b"\r\n--here--\r\n"
)
"""8-bit text, lines that mbox files quote, and 250 kB of binary."""

FIRST = [*AWKWARD, LARGE]


@dataclass(slots=True)
class Thunderbird:
    """Thunderbird in a profile of its own."""

    marionette: Marionette
    log: Path

    def do(self, function: str, *values: Any) -> Any:
        """Call one function of thunderbird.js."""
        return self.marionette.run(f"{SCRIPT}\nreturn {function}(...arguments);", *values)

    def downloaded(self, mailbox: str, count: int) -> list[tuple[bytes, set[bytes]]]:
        """Octets and flags of each message there, once there are `count`."""
        shown = []
        for one in self.do("download", mailbox, count):
            flags = {tag.encode() for tag in one["tags"].split()}
            flags |= {b"\\Seen"} if one["read"] else set()
            flags |= {b"\\Flagged"} if one["flagged"] else set()
            shown.append((re.sub(rb"^(X-Mozilla-Status2?: \w+\n){2}", b"", b64decode(one["octets"])), flags))
        return shown

    def idles(self) -> bool:
        """The last it has sent with INBOX selected is IDLE."""
        return re.findall(r":S-INBOX:SendData: (?:[0-9]+ )?(\S+)", self.log.read_text(errors="replace"))[-1] == "IDLE"

    def commands(self) -> list[str]:
        """IMAP commands that it has sent, as its log tells."""
        return re.findall(r":SendData: [0-9]+ (.*)", self.log.read_text(errors="replace"))


def preferences(served: Served, marionette: int) -> dict[str, str | int | bool]:
    """Of one IMAP account with a server to send by, both with TLS from the start and the password in plain."""
    server, smtp, identity = "mail.server.server1.", "mail.smtpserver.smtp1.", "mail.identity.id1."
    return {
        "marionette.port": marionette,
        "mail.accountmanager.accounts": "account1,account2",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.accountmanager.localfoldersserver": "server2",
        "mail.account.account1.server": "server1",
        "mail.account.account1.identities": "id1",
        "mail.account.account2.server": "server2",
        "mail.server.server2.type": "none",
        "mail.server.server2.hostname": "Local Folders",
        "mail.server.server2.userName": "nobody",
        server + "type": "imap",
        server + "hostname": "localhost",
        server + "port": served.imaps,
        server + "userName": ADA,
        server + "socketType": 3,
        server + "authMethod": 3,
        server + "login_at_startup": False,
        server + "check_new_mail": False,
        identity + "useremail": ADA,
        identity + "fullName": "Ada",
        identity + "smtpServer": "smtp1",
        identity + "valid": True,
        identity + "doFcc": True,
        identity + "fcc_folder": f"imap://{ADA.replace('@', '%40')}@localhost/Sent",
        "mail.smtpservers": "smtp1",
        "mail.smtp.defaultserver": "smtp1",
        smtp + "hostname": "localhost",
        smtp + "port": served.submissions,
        smtp + "username": ADA,
        smtp + "try_ssl": 3,
        smtp + "authMethod": 3,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.shell.checkDefaultClient": False,
        "mailnews.start_page.enabled": False,
        "mailnews.database.global.indexer.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "app.normandy.enabled": False,
        "app.update.enabled": False,
        "extensions.update.enabled": False,
    }


@contextmanager
def thunderbird(served: Served, home: Path) -> Iterator[Thunderbird]:
    """Started, with the passwords and the server's authority in its profile."""
    profile, log = home / "profile", home / "log"
    profile.mkdir(parents=True)
    certutil = [program("certutil", "libnss3-tools"), "-d", f"sql:{profile}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    subprocess.run([*certutil, "-A", "-t", "C,,", "-n", "pillarbox", "-i", str(served.authority)], check=True)
    (port,) = free_ports(1)
    rows = preferences(served, port).items()
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in rows))
    words = [program("thunderbird"), "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(profile)]
    environment = {**os.environ, "HOME": str(home), "MOZ_LOG": "IMAP:4,sync", "MOZ_LOG_FILE": str(log)}
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(words, env=environment, stdout=output, stderr=output)
    try:
        with Marionette(port, START_S) as marionette:
            started = Thunderbird(marionette, log.with_suffix(".moz_log"))
            started.do("addPasswords", ADA, PASSWORD)
            yield started
    finally:
        process.kill()
        process.wait(30)


def by_subject(served: Served, mailbox: str, subject: str) -> tuple[bytes, frozenset[bytes]]:
    (found,) = [row for row in served.messages(mailbox).values() if b"Subject: " + subject.encode() in row[0]]
    return found


def with_line_end(octets: bytes) -> bytes:
    """As Thunderbird keeps messages: a last line that has no end gets one, a header without a body an empty line."""
    ended = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    return ended if b"\r\n\r\n" in ended else ended + b"\r\n"


def compare(shown: list[tuple[bytes, set[bytes]]], wanted: list[tuple[bytes, set[bytes]]]) -> None:
    """Fail with the first difference."""
    assert len(shown) == len(wanted)
    for (octets, flags), (wanted_octets, wanted_flags) in zip(shown, wanted, strict=True):
        at = next((at for at, pair in enumerate(zip(octets, wanted_octets, strict=False)) if pair[0] != pair[1]), 0)
        around = slice(max(0, at - 30), at + 30)
        assert octets == wanted_octets, (wanted_octets[:60], len(octets), len(wanted_octets), at, octets[around], wanted_octets[around])
        assert flags == wanted_flags, (wanted_octets[:60], flags, wanted_flags)


def first_sync(served: Served, shown: Thunderbird) -> None:
    served.fill(FIRST[:1], flags=("\\Seen", "\\Flagged", "$label2"))
    served.fill(FIRST[1:])
    served.fill([LARGE], "Archive")
    found = shown.do("discover", MAILBOXES)
    assert set(found) == {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"}
    marked = [{b"\\Seen", b"\\Flagged", b"$label2"}, *[set()] * (len(FIRST) - 1)]
    compare(shown.downloaded("INBOX", len(FIRST)), list(zip(map(with_line_end, FIRST), marked, strict=True)))
    assert [octets for octets, _ in served.messages().values()] == FIRST
    compare([(b64decode(shown.do("read", "Archive", "Message 20")), set())], [(LARGE, set())])


def marking(served: Served, shown: Thunderbird) -> None:
    marked = {b"\\Seen", b"\\Flagged", b"$label1", b"garden"}
    for subject in ("With two attachments", "digest"):
        shown.do("mark", "INBOX", subject)
        assert eventually(lambda subject=subject: by_subject(served, "INBOX", subject)[1] == marked)
    shown.do("unmark", "INBOX", "digest")
    assert eventually(lambda: by_subject(served, "INBOX", "digest")[1] == {b"\\Seen", b"$label1"})


def moving(served: Served, shown: Thunderbird) -> None:
    there = by_subject(served, "INBOX", "With two"), by_subject(served, "INBOX", "digest")
    shown.do("create", "Räume & Bäume")
    shown.do("copy", "INBOX", ["With two attachments"], "Räume & Bäume", False)
    shown.do("copy", "INBOX", ["digest"], "Räume & Bäume", True)
    assert list(served.messages("Räume & Bäume").values()) == list(there)
    assert by_subject(served, "INBOX", "With two") == there[0]
    assert len(served.messages()) == len(FIRST) - 1
    assert shown.downloaded("Räume & Bäume", 2) == [(octets, set(flags)) for octets, flags in there]


def deleting(served: Served, shown: Thunderbird) -> None:
    old = by_subject(served, "INBOX", "unix")
    shown.do("remove", "INBOX", ["unix"], False)
    assert list(served.messages("Trash").values()) == [old]
    assert [octets for octets, _ in shown.downloaded("Trash", 1)] == [old[0]]
    shown.do("remove", "INBOX", ["nothing follows"], True)
    assert eventually(lambda: b"\\Deleted" in by_subject(served, "INBOX", "nothing follows")[1])
    shown.do("compact", "INBOX")
    assert eventually(lambda: len(served.messages()) == len(FIRST) - 3)
    shown.do("emptyTrash")
    assert eventually(lambda: not served.messages("Trash"))


def sending(served: Served, shown: Thunderbird, place: Path) -> None:
    noise = bytes(range(256)) * 300
    (place / "noise.bin").write_bytes(noise)
    text = "Schöne Grüße\r\n.dot\r\n"
    shown.do("send", BEN, "Grüße aus dem Garten", text, str(place / "noise.bin"), "application/octet-stream")
    assert eventually(lambda: served.messages("Sent"), PATIENCE_S)
    ((arrived, flags),) = served.messages(account=BEN).values()
    ((kept, kept_flags),) = served.messages("Sent").values()
    assert b"$HasAttachment" in flags and b"\\Seen" in kept_flags
    for octets in (arrived, kept):
        parsed = message_from_bytes(octets, policy=policy.default)
        assert (parsed["From"].addresses[0].addr_spec, parsed["To"], parsed["Subject"]) == (ADA, BEN, "Grüße aus dem Garten")
        body, attachment = parsed.iter_parts()
        assert body.get_content().splitlines() == text.splitlines()
        assert (attachment.get_filename(), attachment.get_content()) == ("noise.bin", noise)
    assert arrived.partition(b"Message-ID: ")[2] == kept.partition(b"Message-ID: ")[2]
    assert [octets for octets, _ in shown.downloaded("Sent", 1)] == [with_line_end(kept)]


def searching(shown: Thunderbird) -> None:
    for attribute, text, found in (
        ("Subject", "TWO ATTACH", ["With two attachments"]),
        ("Subject", "Grüße", ["Grüße aus\tder Ferne"]),
        ("Body", "Schöne Grüße", ["Grüße aus\tder Ferne", "Message 20"]),
        ("Sender", "carol", []),
    ):
        assert shown.do("search", "INBOX", attribute, text, True) == found, text
    assert shown.do("search", "INBOX", "Subject", "two attach", False) == ["With two attachments"]


def pushing(served: Served, shown: Thunderbird) -> None:
    """Messages show by IDLE, after a restart of the server too."""
    shown.do("update", "INBOX")
    assert eventually(shown.idles)
    served.fill([message(30)])
    shown.do("arrives", "INBOX", "Message 30")
    served.server.stop()
    served.server.start()
    served.fill([message(31)])
    shown.do("reconnect", "INBOX", "Message 31")
    assert eventually(shown.idles)
    served.fill([message(32)])
    shown.do("arrives", "INBOX", "Message 32")
    there = [(with_line_end(octets), flags) for octets, flags in served.messages().values()]
    assert shown.downloaded("INBOX", len(there)) == there


def main() -> None:
    with TemporaryDirectory(prefix="pillarbox-thunderbird-") as directory:
        place = Path(directory)
        data, authority = new_data(place / "data", "ada", "ben"), place / "authority.pem"
        with Pillarbox(data) as server:
            pillarbox("certificate", "export", "--out", str(authority), data=data)
            served = Served(server, authority, place)
            with thunderbird(served, place / "home") as shown:
                steps = {
                    "first sync": lambda: first_sync(served, shown),
                    "flags and tags": lambda: marking(served, shown),
                    "moves and copies": lambda: moving(served, shown),
                    "deletion": lambda: deleting(served, shown),
                    "sending": lambda: sending(served, shown, place),
                    "searches": lambda: searching(shown),
                    "IDLE and a restarted server": lambda: pushing(served, shown),
                }
                for name, step in steps.items():
                    step()
                    print(f"Thunderbird, {name}: fine", flush=True)
                sent = shown.commands()
    for used in ("COMPRESS DEFLATE", "ENABLE UTF8=ACCEPT", "IDLE", "uid move", "uid SEARCH", "namespace", "getquotaroot", "myrights"):
        if not any(command.startswith(used) for command in sent):
            sys.exit(f"Thunderbird has not used {used}.")


if __name__ == "__main__":
    main()
