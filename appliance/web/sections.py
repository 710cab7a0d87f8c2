"""The sections of the site: which part of the address space is answered by which code, loaded when it is first asked for.

To add pages, write a module with a class that has `routes()`, and add a row here. What needs a session, nearness or the role of an
administrator says so in its routes (`routes.Access`), never in its handlers.
"""

from collections.abc import Sequence
from functools import cache

from .access_log import AccessLog
from .context import WebContext
from .rendering import Pages
from .routes import Access, SiteSection, WebRoute


def sections_of(context: WebContext, pages: Pages, log: AccessLog) -> tuple[SiteSection, ...]:
    """Every section but those that other packages add."""
    groups = Groups(context, pages, log)
    rows = (
        ("/", groups.entrance),
        ("/sign-in/passkey/", groups.passkey_sign_in),
        ("/setup/", groups.setup),
        ("/own/", groups.own),
        ("/own/second-factor/", groups.second_factor),
        ("/own/passkeys/", groups.passkeys),
        ("/own/mail/", groups.transfer),
        ("/own/forwarding/", groups.forwarding),
        ("/admin/", groups.overview),
        ("/admin/accounts/", groups.accounts),
        ("/admin/accounts-restore/", groups.accounts),
        ("/admin/aliases/", groups.accounts),
        ("/admin/domains/", groups.domains),
        ("/admin/queue/", groups.queue),
        ("/admin/certificates/", groups.certificates),
        ("/admin/settings/", groups.settings),
        ("/admin/messages/", groups.machine),
        ("/admin/network/", groups.machine),
        ("/admin/storage/", groups.machine),
        ("/admin/logs/", groups.machine),
        ("/admin/power/", groups.machine),
        ("/health/", groups.health),
        ("/metrics/", groups.health),
        ("/static/", groups.static),
        ("/robots.txt/", groups.static),
    )
    return tuple(SiteSection(prefix, load) for prefix, load in rows)


class Groups:
    """The groups of pages, each made once, when the first of its sections is loaded."""

    def __init__(self, context: WebContext, pages: Pages, log: AccessLog) -> None:
        self._context, self._pages, self._log = context, pages, log
        self.machine = cache(self._machine)
        self.accounts = cache(self._accounts)
        self.health = cache(self._health)

    def entrance(self) -> Sequence[WebRoute]:
        from .pages.entrance import Entrance

        return Entrance(self._context, self._pages).routes()

    def setup(self) -> Sequence[WebRoute]:
        from .pages.setup import SetupPages

        return SetupPages(self._context, self._pages).routes()

    def own(self) -> Sequence[WebRoute]:
        from .pages.own import OwnPages

        return OwnPages(self._context, self._pages).routes()

    def forwarding(self) -> Sequence[WebRoute]:
        from .pages.forwarding import ForwardingPages

        return ForwardingPages(self._context, self._pages).routes()

    def transfer(self) -> Sequence[WebRoute]:
        from .pages.transfer import TransferPages

        return TransferPages(self._context, self._pages).routes()

    def second_factor(self) -> Sequence[WebRoute]:
        from .pages.second_factor import SecondFactorPages

        return SecondFactorPages(self._context, self._pages).routes()

    def passkeys(self) -> Sequence[WebRoute]:
        from .pages.passkeys import PasskeyPages

        return PasskeyPages(self._context, self._pages).routes()

    def passkey_sign_in(self) -> Sequence[WebRoute]:
        from .pages.passkey_sign_in import PasskeySignIn

        return PasskeySignIn(self._context, self._pages).routes()

    def overview(self) -> Sequence[WebRoute]:
        from .pages.overview import OverviewPages

        return OverviewPages(self._context, self._pages).routes()

    def _accounts(self) -> Sequence[WebRoute]:
        from .pages.accounts import AccountPages

        return AccountPages(self._context, self._pages).routes()

    def domains(self) -> Sequence[WebRoute]:
        from .pages.domains import DomainPages

        return DomainPages(self._context, self._pages).routes()

    def queue(self) -> Sequence[WebRoute]:
        from .pages.queue import QueuePages

        return QueuePages(self._context, self._pages).routes()

    def certificates(self) -> Sequence[WebRoute]:
        from .pages.certificates import CertificatePages

        return CertificatePages(self._context, self._pages).routes()

    def settings(self) -> Sequence[WebRoute]:
        from .pages.settings import SettingsPages

        return SettingsPages(self._context, self._pages).routes()

    def _machine(self) -> Sequence[WebRoute]:
        from .pages.machine import MachinePages

        return MachinePages(self._context, self._pages, self._log).routes()

    def _health(self) -> Sequence[WebRoute]:
        from .health import Health

        return Health(self._context).routes()

    def static(self) -> Sequence[WebRoute]:
        from .static_files import robots

        return (
            WebRoute("GET", "/static/{name}", self._pages.static.serve, Access.ANYONE),
            WebRoute("GET", "/robots.txt", robots, Access.ANYONE),
        )
