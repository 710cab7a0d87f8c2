"""Pages from templates: what every page has in common is put together here, and what goes into it is escaped.

A page is a template and its values. Beside them a template has: `_` and `counted` (the language), `token` (for forms), `static` (the
address of a static file), `me` and `admin` (whose page it is), `here` (the path), `notes` (what was just done).
Jinja and the templates are loaded when the first page is asked for (`template_environment`).
"""

import secrets
from typing import TYPE_CHECKING, Any

from appliance.languages.catalogues import Language, languages
from appliance.protocol.http.cookie import encode_cookie
from appliance.protocol.http.problem import phrase

from . import access
from .context import WebContext
from .message import HttpRefusal, HttpRequest, HttpResponse
from .security import make_token
from .site import FORM_COOKIE, form_secret

if TYPE_CHECKING:
    from jinja2 import Environment

    from .static_files import StaticFiles


class Pages:
    """Renders pages for the requests of one site."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._environment: Environment | None = None
        self._static: StaticFiles | None = None

    @property
    def static(self) -> "StaticFiles":
        if self._static is None:
            from .static_files import StaticFiles

            self._static = StaticFiles()
        return self._static

    def page(self, request: HttpRequest, template: str, status: int = 200, **values: Any) -> HttpResponse:
        """A page with the sentences in the language of the request."""
        response = HttpResponse(status)
        session = request.session
        notes: list[str] = []
        if session is not None and request.method != "HEAD":
            notes, session.notes = session.notes, notes
        account = self._context.accounts.directory.account(session.account) if session else None
        common = {
            "_": request.language,
            "counted": request.language.counted,
            "languages": languages(),
            "me": account.address if account else "",
            "admin": access.may_administrate(session, self._context.is_admin),
            "here": request.path,
            "notes": notes,
            "token": lambda: self._token(request, response),
        }
        response.body = self._templates().get_template(template).render(**common, **values).encode()
        return response

    def refusal(self, request: HttpRequest, refusal: HttpRefusal) -> HttpResponse:
        """A page that says what was refused and why."""
        _ = request.language
        text = refusal.text or dict(sentences(_)).get(refusal.status, phrase(refusal.status))
        return self.page(request, "refusal.html", refusal.status, text=text, code=refusal.status)

    def _token(self, request: HttpRequest, response: HttpResponse) -> str:
        """The token of a form; whoever has no session gets a cookie that it is bound to."""
        secret = form_secret(request)
        if not secret:
            given = next((value for name, value in response.fields if name == "set-cookie"), "")
            secret = given.partition("=")[2].partition(";")[0] or secrets.token_urlsafe(16)
            if not given:
                response.fields.append(("set-cookie", encode_cookie(FORM_COOKIE, secret)))
        return make_token(secret)

    def _templates(self) -> "Environment":
        if self._environment is None:
            from .template_environment import template_environment

            self._environment = template_environment(self._context.clock)
            self._environment.globals["static"] = lambda name: self.static.address(name)
        return self._environment


def sentences(_: Language) -> tuple[tuple[int, str], ...]:
    """What to say to people where the refusal itself says nothing."""
    return (
        (400, _("The request could not be understood.")),
        (403, _("This is not allowed.")),
        (404, _("There is no such page.")),
        (405, _("This page does not do that.")),
        (413, _("That is too large.")),
        (415, _("The server does not take this kind of data here.")),
    )
