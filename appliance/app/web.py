"""The web put together: what its pages may see and do of the server, and which names it answers to."""

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.accounts.setup_progress import SetupProgress
from appliance.certificates.certificates import export
from appliance.certificates.contents import AUTHORITY, details_of
from appliance.config.settings import host_and_port
from appliance.mail.errors import SetupError
from appliance.mail.protocols import PROTOCOLS
from appliance.web.access import Names
from appliance.web.context import WebContext, WebOptions
from appliance.web.jmap import jmap_section
from appliance.web.routes import SiteSection
from appliance.web.service import WebService
from appliance.web.webmail.section import WebmailPorts, webmail_section

from .acme_challenge import answer_to
from .web_address import base_url, https_port

if TYPE_CHECKING:
    from appliance.auth.login import Login
    from appliance.control.requests import Control
    from appliance.network.tls import ServerTls
    from appliance.web.rendering import Pages
    from appliance.web.webmail.remote_images import RemoteImages

    from .components import Components
    from .jmap import JmapParts

RESOLVER_FILE = Path("/etc/resolv.conf")
SEARCH_DOMAINS = 8
DAY_S = 86_400
PUBLIC_S = 30.0
"""To ask whether a certificate is public, while the first browser waits: half a second on a slow board."""


def web_service(
    components: "Components",
    tls: "ServerTls",
    login: "Login",
    control: "Control",
    jmap: "JmapParts",
) -> WebService:
    """The service behind the http and https listeners."""
    listen, web = components.settings.listen, components.settings.web

    context = WebContext(
        control=control,
        board=components.board,
        accounts=components.accounts,
        login=login,
        second_factors=components.second_factors(),
        sessions=jmap.sessions,
        push_subscriptions=jmap.subscriptions,
        progress=SetupProgress(components.database),
        clock=components.clock,
        names=names_of(components),
        https_port=lambda: https_port(components),
        mail_services=lambda: tuple(
            (row.name, host_and_port(found[0])[1]) for row in PROTOCOLS if row.service != "http" and (found := listen.addresses(row.name))
        ),
        authority=lambda: _authority(components, tls),
        challenge=lambda token: answer_to(components.settings.certificate.challenges, token),
        public_days=public_days_of(components, tls),
        is_admin=components.accounts.directory.is_admin,
        say=components.journal.log,
        transfers=components.transfers.service,
        options=WebOptions(web.administrate_from_anywhere, web.metrics_from_anywhere),
    )
    return WebService(context, lambda pages: _mail_sections(components, context, jmap, pages))


def _mail_sections(components: "Components", context: WebContext, jmap: "JmapParts", pages: "Pages") -> Sequence[SiteSection]:
    """JMAP and webmail over one JMAP service, made at the first request."""

    def remote() -> "RemoteImages":
        from appliance.web.webmail.remote_images import RemoteImages

        return RemoteImages(jmap.dialer())

    return (
        *jmap_section(context, jmap.service, lambda: base_url(components)),
        webmail_section(context, pages, jmap.service, WebmailPorts(components.store, remote, jmap.largest_octets)),
    )


def names_of(components: "Components") -> Names:
    return Names(components.host_name, socket.gethostname, lambda: search_domains(RESOLVER_FILE), lambda: components.domains)


def search_domains(file: Path) -> tuple[str, ...]:
    """The domains that DHCP or the owner wrote into resolv.conf (resolv.conf(5)); () where it cannot be read."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    found = [word for line in lines if line.split()[:1] in (["search"], ["domain"]) for word in line.split()[1:]]
    return tuple(word.rstrip(".").lower() for word in found[:SEARCH_DOMAINS])


def public_days_of(components: "Components", tls: "ServerTls") -> Callable[[], float]:
    """For how many days the certificate in use is still valid; 0 for one that browsers do not trust by themselves.

    Asked once, in a child process, for a certificate of the user's own; one that takes its place counts as public after the next start.
    """
    settings = components.settings.certificate
    if tls.source != "own" or not _is_public(settings.file, settings.key, next(iter(tls.facts.names), "")):
        return lambda: 0.0
    public = tls.facts.fingerprint

    def days() -> float:
        if tls.facts.fingerprint != public or not components.clock.trusted():
            return 0.0
        return (tls.facts.not_after_at - components.clock.wall_s()) / DAY_S

    return days


def _is_public(certificate: str, key: str, name: str) -> bool:
    words = [sys.executable, "-P", "-m", "appliance.network.public_trust", certificate, key, name]
    return subprocess.run(words, capture_output=True, check=False, timeout=PUBLIC_S).returncode == 0  # noqa: S603 our own module, no shell


def _authority(components: "Components", tls: "ServerTls") -> tuple[str, str]:
    """PEM and fingerprint of the server's authority; ("", "") when the user's own certificate is served."""
    if tls.source != "server":
        return "", ""
    directory = components.certificates.server.parent
    facts = details_of(directory / AUTHORITY)
    try:
        return (export(directory), facts.fingerprint) if facts else ("", "")
    except SetupError:
        return "", ""
