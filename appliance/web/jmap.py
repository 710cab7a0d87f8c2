"""JMAP on the HTTP edge: session, API, uploads and downloads (RFC 8620 §2, §3.1, §6), and who may use them.

| credentials                          | how                                    | also checked                                          |
|--------------------------------------|----------------------------------------|-------------------------------------------------------|
| `Authorization: Basic`               | address and app password               | throttled as every sign-in                            |
| `Authorization: Bearer`              | a token made of the two (`bearer`)     | the same; answers are readable by pages elsewhere     |
| the session's cookie                 | our own pages                          | Origin, Sec-Fetch-Site; to change something the token |
| none                                 | 401; a challenge to programs only      | a browser would ask its user for a password           |

An upload takes any content type, so a form of another site could send one: it is checked as the API is, not by its type.
An account's own password is refused here where the account has a second factor (`Login` says so). Downloads are attachments in a
sandbox of their own and never a type that a browser would run.
"""

import base64
import binascii
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from appliance.accounts.push_subscriptions import Credentials
from appliance.auth.identity import AppPasswordNeeded, Identity
from appliance.auth.login import LoginAttempt
from appliance.mail.errors import AuthError
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.request import JmapLimits

from . import security
from .context import WebContext
from .file_names import safe_file_name
from .jmap_cors import readable_elsewhere
from .jmap_push import JmapPush, PushPort
from .message import JSON, HttpRefusal, HttpRequest, HttpResponse, redirect
from .routes import Access, SiteSection, WebRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
"""What methods answer is made anew and has no circles: a fifth quicker."""
PREFIX, WELL_KNOWN = "/jmap/", "/.well-known/jmap"
REALM = (("www-authenticate", 'Basic realm="Pillarbox", charset="UTF-8"'),)
SAFE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain", "audio/", "video/", "message/rfc822")
"""What a download may say it is; all else is application/octet-stream."""
MOST_TYPE = 255
"""Characters of a media type."""
DOWNLOAD_FIELDS = (("content-security-policy", "sandbox; default-src 'none'"), ("cross-origin-resource-policy", "same-origin"))


class JmapBlob(Protocol):
    """What is downloaded."""

    @property
    def chunks(self) -> "AsyncIterator[bytes]": ...
    @property
    def length(self) -> int | None: ...
    @property
    def media_type(self) -> str: ...


class JmapPort(PushPort, Protocol):
    """The JMAP service, as far as HTTP asks of it."""

    @property
    def limits(self) -> JmapLimits: ...
    async def api(self, octets: bytes, account: AccountId, credentials: Credentials | None = None) -> dict[str, Any]: ...
    async def session(self, account: AccountId, base_url: str) -> dict[str, Any]: ...
    async def blob(self, account: AccountId, jmap_account: str, blob: str) -> JmapBlob | None: ...
    async def upload(self, account: AccountId, jmap_account: str, chunks: "AsyncIterable[bytes]", media_type: str) -> dict[str, Any]: ...


def bearer(address: str, app_password: str) -> str:
    """The token of a device: its app password with the address it is for, in the characters a token may have (RFC 6750 §2.1)."""
    return base64.urlsafe_b64encode(f"{address}\0{app_password}".encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class KnownCredentials:
    """What a connection signed in with: a keyed digest of the Authorization field, and who that was."""

    digest: bytes
    identity: Identity


class JmapPages:
    """The routes. `base_url`: scheme, host and port of this server, whatever name the client used."""

    def __init__(self, context: WebContext, jmap: JmapPort, base_url: Callable[[], str]) -> None:
        self._context = context
        self._jmap = jmap
        self._base_url = base_url
        self._key = os.urandom(32)

    def routes(self) -> tuple[WebRoute, ...]:
        open_to_all = {"access": Access.ANYONE, "program": True, "own_credentials": True}
        limits = self._jmap.limits
        return readable_elsewhere((
            WebRoute("GET", WELL_KNOWN, self.well_known, **open_to_all),  # type: ignore[arg-type]
            WebRoute("GET", "/jmap/session", self.session, **open_to_all),  # type: ignore[arg-type]
            WebRoute("POST", "/jmap/api", self.api, body_octets=limits.request_octets, **open_to_all),  # type: ignore[arg-type]
            WebRoute("POST", "/jmap/upload/{account}/", self.upload, body_octets=limits.upload_octets, **open_to_all),  # type: ignore[arg-type]
            WebRoute("GET", "/jmap/download/{account}/{blob}/{name}", self.download, **open_to_all),  # type: ignore[arg-type]
            *JmapPush(self._context, self._jmap, self._account).routes(),
        ))  # fmt: skip

    async def well_known(self, request: HttpRequest) -> HttpResponse:
        """RFC 8620 §2.2."""
        return redirect("/jmap/session", 307)

    async def session(self, request: HttpRequest) -> HttpResponse:
        account = await self._account(request)
        return _json(await self._jmap.session(account, self._base_url()))

    async def api(self, request: HttpRequest) -> HttpResponse:
        account = await self._account(request, changes=True)
        if request.fields.get("content-type").partition(";")[0].strip().lower() != JSON:
            raise HttpRefusal(415, "A JMAP request is application/json.")
        try:
            octets = await request.body.read()
            return _json(await request.attend(lambda: self._jmap.api(octets, account, request.credentials)))
        except RequestError as error:
            return _problem(error)
        except HttpRefusal as error:
            return _problem(_too_large("maxSizeRequest", self._jmap.limits.request_octets, error))

    async def upload(self, request: HttpRequest) -> HttpResponse:
        account = await self._account(request, changes=True)
        kind = request.fields.get("content-type").strip()
        named = kind if kind.isascii() and kind.isprintable() and len(kind) <= MOST_TYPE else ""
        try:
            done = await self._jmap.upload(account, request.values["account"], request.body, named or "application/octet-stream")
        except RequestError as error:
            return _problem(error)
        except HttpRefusal as error:
            return _problem(_too_large("maxSizeUpload", self._jmap.limits.upload_octets, error))
        response = _json(done)
        response.status = 201
        return response

    async def download(self, request: HttpRequest) -> HttpResponse:
        account = await self._account(request)
        values = request.values
        found = await self._jmap.blob(account, values["account"], values["blob"])
        if found is None:
            raise HttpRefusal(404)
        wanted = request.query.get("accept") or found.media_type
        kind = wanted if wanted.isascii() and wanted.isprintable() and wanted.startswith(SAFE_TYPES) else "application/octet-stream"
        response = HttpResponse(200, found.chunks, kind, length=found.length)
        response.fields += [("content-disposition", f"attachment; filename*=UTF-8''{_encoded(values['name'])}"), *DOWNLOAD_FIELDS]
        return response

    # --- who asks --------------------------------------------------------------------------------

    async def _account(self, request: HttpRequest, *, changes: bool = False) -> AccountId:
        """The account whose credentials came with the request. Raises HttpRefusal."""
        if given := request.fields.get("authorization"):
            return await self._signed_in(request, given)
        if request.session is None:
            raise HttpRefusal(401, request.language("Sign in first."), () if _is_browser(request) else REALM)
        if not security.is_same_origin(request):
            raise HttpRefusal(403, "Another site sent this request.")
        if changes and not security.is_token(request.cookie("session"), request.fields.get(security.TOKEN_FIELD)):
            raise HttpRefusal(403, "The token of this session is missing.")
        if self._context.accounts.must_change(request.session.account, request.session.password):
            raise HttpRefusal(403, request.language("Choose a new password first."))
        if request.stream is not None:
            request.stream.login = (request.session.account, request.session.password)
        request.credentials = Credentials(0, request.session.digest)
        return request.session.account

    async def _signed_in(self, request: HttpRequest, given: str) -> AccountId:
        """`given`: the Authorization field. A program sends it with each request of a connection; it is judged at the first."""
        digest = blake2b(given.encode("latin-1"), key=self._key).digest()
        kept = request.stream.kept if request.stream is not None else None
        shown = kept.identity if isinstance(kept, KnownCredentials) and hmac.compare_digest(kept.digest, digest) else None
        if shown is not None and self._context.login.goes_on(shown, peer=request.peer, protocol="jmap"):
            return _of(request, shown)
        identity = await self._judged(request, given)
        if request.stream is not None:
            request.stream.who = identity.address
            request.stream.kept = KnownCredentials(digest, identity)
        return _of(request, identity)

    async def _judged(self, request: HttpRequest, given: str) -> Identity:
        scheme, _, token = given.partition(" ")
        credentials = _credentials(scheme, token.strip())
        if credentials is None:
            raise HttpRefusal(401, "The Authorization field cannot be read.", () if _is_browser(request) else REALM)
        known = request.stream is not None and request.stream.who == credentials[0]
        attempt = LoginAttempt(request.peer, "jmap", "basic", known)
        try:
            identity = await request.attend(lambda: self._context.login.check_password(*credentials, attempt))
        except AppPasswordNeeded as refusal:
            raise HttpRefusal(401, str(refusal), () if _is_browser(request) else REALM) from None
        except AuthError:
            raise HttpRefusal(503, "Passwords cannot be checked just now.") from None
        if identity is None:
            raise HttpRefusal(401, "The address or the password is wrong.", () if _is_browser(request) else REALM)
        return identity


def jmap_section(context: WebContext, make: Callable[[], JmapPort], base_url: Callable[[], str]) -> tuple[SiteSection, ...]:
    """The sections of JMAP; `make` is called at the first request."""
    made: list[tuple[WebRoute, ...]] = []

    def load() -> tuple[WebRoute, ...]:
        if not made:
            made.append(JmapPages(context, make(), base_url).routes())
        return made[0]

    return SiteSection(PREFIX, load), SiteSection(WELL_KNOWN + "/", load)


def _of(request: HttpRequest, identity: Identity) -> AccountId:
    """The account signed in to: the connection ends with its password."""
    if request.stream is not None:
        request.stream.login = (identity.account, identity.password)
    request.credentials = Credentials(identity.password)
    return identity.account


def _json(value: dict[str, Any]) -> HttpResponse:
    return HttpResponse(200, _encode_json(value).encode(), JSON)


def _too_large(limit: str, octets: int, refusal: HttpRefusal) -> RequestError:
    """The limit that a body over its route's passed (RFC 8620 §3.6.1). Raises any other refusal again."""
    if refusal.status != 413:
        raise refusal
    return RequestError("limit", f"At most {octets:,} octets.", limit=limit, status=413)


def _problem(error: RequestError) -> HttpResponse:
    return HttpResponse(error.status, json.dumps(error.document, ensure_ascii=False).encode(), "application/problem+json")


def _is_browser(request: HttpRequest) -> bool:
    return any(name in request.fields for name in ("sec-fetch-site", "sec-fetch-mode", "origin"))


def _credentials(scheme: str, given: str) -> tuple[str, str] | None:
    """Address and password of an Authorization field; None when it cannot be read."""
    separator = {"basic": ":", "bearer": "\0"}.get(scheme.lower())
    if separator is None or not given.isascii():
        return None
    try:
        octets = base64.b64decode(given.replace("-", "+").replace("_", "/") + "=" * (-len(given) % 4), validate=True)
        name, found, password = octets.decode().partition(separator)
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if found else None


def _encoded(name: str) -> str:
    """A file name as RFC 8187 §3.2 has it in a parameter."""
    return quote(safe_file_name(name) or "download", safe="-._~", encoding="utf-8", errors="replace")
