"""Real mail servers on hosts of the small Internet: set up, started, and what they took in.

Each takes messages for its domain on port 25 with STARTTLS, has the user `bob`, and relays for its own users.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .internet import Host, wait_for
from .packages import unpacked


@dataclass(frozen=True)
class Server:
    """One running mail server: `messages()` are what bob got so far, oldest first, as files on its disk hold them."""

    host: Host
    domain: str
    log: str

    def messages(self) -> list[bytes]:
        home = self.host.root / "home/bob/Maildir"
        found = [path for part in ("new", "cur") if (home / part).is_dir() for path in (home / part).iterdir()]
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def message_with(self, words: bytes, most_s: float = 30.0) -> bytes:
        """Wait for the message that holds these words."""
        wait_for(lambda: any(words in one for one in self.messages()), f"{self.host.name} got no message with {words!r}", most_s=most_s)
        return next(one for one in self.messages() if words in one)

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Somebody on this host writes to somebody."""
        self.host.run("/usr/sbin/sendmail", "-i", "-f", sender, recipient, stdin=message)

    def said(self) -> str:
        place = self.host.root / self.log.lstrip("/")
        return place.read_text(errors="replace") if place.exists() else ""


def listening(host: Host, port: int) -> bool:
    table = (host.root / "proc/1/net/tcp").read_text() + (host.root / "proc/1/net/tcp6").read_text()
    return f":{port:04X} " in "".join(line for line in table.splitlines(keepends=True) if " 0A " in line)


def accounts(host: Host) -> None:
    host.write("/etc/login.defs", "MAIL_DIR /var/mail\nUMASK 022\nUSERGROUPS_ENAB yes\n")
    host.add_user("bob", "-m")


def certificate(host: Host, name: str) -> None:
    """A self-signed one, as most of the world's port 25 has it."""
    host.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name}", "-keyout", "/etc/mail.key", "-out", "/etc/mail.pem",
    )  # fmt: skip
    host.run("chmod", "600", "/etc/mail.key")


POSTFIX = """compatibility_level = 3.6
myhostname = {name}
mydomain = {domain}
myorigin = {domain}
mydestination = {domain}, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = all
inet_protocols = all
maillog_file = /var/log/postfix.log
home_mailbox = Maildir/
smtpd_tls_cert_file = /etc/mail.pem
smtpd_tls_key_file = /etc/mail.key
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtputf8_enable = yes
alias_maps =
alias_database =
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
"""


def postfix(host: Host, domain: str, name_server: str) -> Server:
    host.boot([unpacked("postfix")], name_server)
    accounts(host)
    name = f"mx.{domain}"
    certificate(host, name)
    host.run("groupadd", "-f", "postdrop")
    host.add_user("postfix", "-r", "-d", "/var/spool/postfix")
    host.write("/etc/postfix/main.cf", POSTFIX.format(name=name, domain=domain))
    host.run("cp", "/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf")
    host.write("/etc/services", "smtp 25/tcp\ndomain 53/udp\ndomain 53/tcp\n")
    host.run("chgrp", "postdrop", "/usr/sbin/postqueue", "/usr/sbin/postdrop")
    host.run("chmod", "2755", "/usr/sbin/postqueue", "/usr/sbin/postdrop")
    host.run("chown", "postfix", "/var/lib/postfix")
    host.run("postfix", "start")
    wait_for(lambda: listening(host, 25), f"postfix on {host.name} does not listen")
    return Server(host, domain, "/var/log/postfix.log")


EXIM = """primary_hostname = {name}
domainlist local_domains = {domain}
exim_user = Debian-exim
exim_group = Debian-exim
never_users = root
tls_advertise_hosts = *
tls_certificate = /etc/mail.pem
tls_privatekey = /etc/mail.key
acl_smtp_rcpt = at_rcpt
acl_smtp_data = at_data
log_file_path = /var/log/exim/%slog
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 2M
begin acl
at_rcpt:
  deny local_parts = full
       domains = +local_domains
       message = 5.2.2 Mailbox full
  defer local_parts = later
       domains = +local_domains
       message = 4.2.0 Come back later
  accept hosts = :
  accept domains = +local_domains
         verify = recipient
  deny message = relay not permitted
at_data:
  accept
begin routers
outside:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote
  self = fail
  no_more
people:
  driver = accept
  check_local_user
  transport = maildir
begin transports
remote:
  driver = smtp
  hosts_try_dane =
maildir:
  driver = appendfile
  directory = $home/Maildir
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,2h,2s
begin rewrite
begin authenticators
"""


def exim(host: Host, domain: str, name_server: str) -> Server:
    host.boot([unpacked("exim")], name_server)
    accounts(host)
    name = f"mx.{domain}"
    certificate(host, name)
    host.add_user("Debian-exim", "-r", "-d", "/var/spool/exim4")
    host.write("/etc/exim4/exim4.conf", EXIM.format(name=name, domain=domain))
    host.run("mkdir", "-p", "/var/spool/exim4", "/var/log/exim")
    host.run("chown", "Debian-exim:Debian-exim", "/var/spool/exim4", "/var/log/exim", "/etc/mail.key", "/etc/mail.pem")
    host.run("chmod", "4755", "/usr/sbin/exim4")
    host.run("/usr/sbin/exim4", "-bd", "-q1m")
    wait_for(lambda: listening(host, 25), f"exim on {host.name} does not listen")
    return Server(host, domain, "/var/log/exim/mainlog")


OPENSMTPD = """pki here cert "/etc/mail.pem"
pki here key "/etc/mail.key"
listen on 0.0.0.0 port 25 tls pki here hostname {name}
listen on socket
action "local" maildir "/home/%{{user.username}}/Maildir"
action "out" relay helo {name}
match from any for domain "{domain}" action "local"
match from local for any action "out"
"""


def opensmtpd(host: Host, domain: str, name_server: str) -> Server:
    """Debian 12's OpenSMTPD offers STARTTLS and then breaks every handshake (its RSA engine and OpenSSL 3 do not agree): a real
    server whose TLS is broken."""
    host.boot([unpacked("opensmtpd")], name_server)
    accounts(host)
    name = f"mx.{domain}"
    certificate(host, name)
    host.run("mkdir", "-p", "/var/lib/opensmtpd/empty", "/var/spool/smtpd", "/var/log")
    host.run("chmod", "711", "/var/spool/smtpd")
    host.add_user("opensmtpd", "-r", "-d", "/var/lib/opensmtpd/empty")
    host.add_user("opensmtpq", "-r", "-d", "/var/lib/opensmtpd/empty")
    host.write("/etc/smtpd.conf", OPENSMTPD.format(name=name, domain=domain))
    host.write("/etc/mailname", name + "\n")
    host.write("/boot-smtpd", "exec /usr/sbin/smtpd -d > /var/log/smtpd.log 2>&1 &\n")
    host.run("sh", "/boot-smtpd")
    wait_for(lambda: listening(host, 25), f"opensmtpd on {host.name} does not listen")
    return Server(host, domain, "/var/log/smtpd.log")


MAKERS: dict[str, Callable[[Host, str, str], Server]] = {"postfix": postfix, "exim": exim, "opensmtpd": opensmtpd}
