"""The sections of the site: which part of the address space is answered by which code, loaded when it is first asked for.

To add pages, write a module with a class that has `routes()`, and add a row here. What needs a session, nearness or the role of an
administrator says so in its routes (`routes.Access`), never in its handlers.
"""

from collections.abc import Sequence

from .access_log import AccessLog
from .context import WebContext
from .rendering import Pages
from .routes import Access, SiteSection, WebRoute


def sections_of(context: WebContext, pages: Pages, log: AccessLog) -> tuple[SiteSection, ...]:
    """Every section but those that other packages add."""

    def static() -> Sequence[WebRoute]:
        from .static_files import robots

        return (
            WebRoute("GET", "/static/{name}", pages.static.serve, Access.ANYONE),
            WebRoute("GET", "/robots.txt", robots, Access.ANYONE),
        )

    def health() -> Sequence[WebRoute]:
        from .health import Health

        return Health(context).routes()

    def entrance() -> Sequence[WebRoute]:
        from .pages.entrance import Entrance

        return Entrance(context, pages).routes()

    def admin() -> Sequence[WebRoute]:
        from .pages.accounts import AccountPages
        from .pages.certificates import CertificatePages
        from .pages.domains import DomainPages
        from .pages.machine import MachinePages
        from .pages.overview import OverviewPages
        from .pages.queue import QueuePages
        from .pages.settings import SettingsPages

        groups = (
            OverviewPages(context, pages),
            AccountPages(context, pages),
            DomainPages(context, pages),
            QueuePages(context, pages),
            CertificatePages(context, pages),
            SettingsPages(context, pages),
            MachinePages(context, pages, log),
        )
        return tuple(route for group in groups for route in group.routes())

    def setup() -> Sequence[WebRoute]:
        from .pages.setup import SetupPages

        return SetupPages(context, pages).routes()

    def own() -> Sequence[WebRoute]:
        from .pages.own import OwnPages

        return OwnPages(context, pages).routes()

    return (
        SiteSection("/admin/", admin),
        SiteSection("/own/", own),
        SiteSection("/setup/", setup),
        SiteSection("/static/", static),
        SiteSection("/robots.txt/", static),
        SiteSection("/health/", health),
        SiteSection("/metrics/", health),
        SiteSection("/", entrance),
    )
