"""Dovecot from Debian, started in the foreground on free ports of the loopback, for figures side by side; needs root.

No service of the machine is touched: configuration, sockets, logs and mail are below one directory.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.support.server import PASSWORD, free_ports

from .clients import connect

CONF = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
ssl = no
disable_plaintext_auth = no
mail_location = {store}:~/{store}
protocols = imap pop3
listen = 127.0.0.1
first_valid_uid = 8
mail_max_userip_connections = 1000
mail_fsync = optimized
auth_username_format = %Lu
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={place}/mail/%n
}}
namespace inbox {{
  inbox = yes
  mailbox Archive {{
    auto = create
  }}
  mailbox Trash {{
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def installed() -> bool:
    return os.geteuid() == 0 and shutil.which("dovecot", path="/usr/sbin:/usr/bin") is not None


class Dovecot:
    """`store`: maildir or mdbox."""

    def __init__(self, place: Path, store: str) -> None:
        self.place, self.store = place, store
        place.mkdir(parents=True)
        for parent in (place, *place.parents):
            if str(parent).startswith(("/tmp/", "/dev/shm/")):
                parent.chmod(parent.stat().st_mode | 0o011)
        (place / "mail").mkdir(mode=0o777)
        (place / "mail").chmod(0o777)
        ports = free_ports(2)
        self.ports = {"imap": ports[0], "pop3": ports[1]}
        conf = place / "dovecot.conf"
        conf.write_text(CONF.format(place=place, store=store, password=PASSWORD, **self.ports))
        self.words = ["dovecot", "-F", "-c", str(conf)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Dovecot":
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL)
        for _ in range(200):
            try:
                connect(self.ports["imap"]).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError((self.place / "log").read_text()[-2000:])

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait(20)
