"""What plain http answers: four things that need no secret, and a redirect to https for everything else.

| path                                                     | answer                                                       |
|----------------------------------------------------------|--------------------------------------------------------------|
| /.well-known/acme-challenge/TOKEN                        | the key authorization (RFC 8555 §8.3)                        |
| /mail/config-v1.1.xml, /.well-known/autoconfig/mail/...  | how mail programs reach this server, as XML                  |
| /, /trust                                                | how to trust this server, with the fingerprint               |
| /trust/pillarbox.crt                                     | the authority's certificate                                  |
| any other, GET or HEAD                                   | 308 to https                                                 |
| any other method                                         | 403: what it carried was readable by others                  |

No cookie is read or set here, and no form is shown. With a publicly trusted certificate there is nothing to trust by hand, and
"/" and "/trust" are redirects too.
"""

from markupsafe import escape

from appliance.languages.catalogues import Language

from .context import WebContext
from .mail_settings import MEDIA_TYPE, mail_settings
from .message import TEXT, HttpRefusal, HttpRequest, HttpResponse, redirect

CHALLENGE = (".well-known", "acme-challenge")
AUTOCONFIG = (("mail", "config-v1.1.xml"), (".well-known", "autoconfig", "mail", "config-v1.1.xml"))
TRUST = (("",), ("trust",))
AUTHORITY_FILE = ("trust", "pillarbox.crt")
AUTHORITY_TYPE = "application/x-x509-ca-cert"
STYLE = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}code{overflow-wrap:anywhere}"
POLICY = "default-src 'none'; style-src 'sha256-{}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class PlainHttp:
    """Answers every request that came without TLS; (response, pattern for the access log)."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def respond(self, request: HttpRequest) -> tuple[HttpResponse, str]:
        """Raises HttpRefusal."""
        if request.method not in ("GET", "HEAD"):
            raise HttpRefusal(403)
        segments = request.target.segments
        if segments[:-1] == CHALLENGE:
            return self._challenge(segments[-1]), "/.well-known/acme-challenge/{token}"
        if segments in AUTOCONFIG:
            return self.autoconfig(request), "/mail/config-v1.1.xml"
        pem, fingerprint = self._context.authority()
        if pem and segments == AUTHORITY_FILE:
            return authority_file(pem), "/trust/pillarbox.crt"
        if pem and segments in TRUST:
            return self._trust_page(request, fingerprint), "/trust"
        return self._redirect(request), "redirect"

    def _challenge(self, token: str) -> HttpResponse:
        answer = self._context.challenge(token)
        if not answer:
            raise HttpRefusal(404)
        return HttpResponse(200, answer.encode(), TEXT)

    def autoconfig(self, request: HttpRequest) -> HttpResponse:
        """The settings for the domain of the address asked for; of autoconfig.DOMAIN; else of the first domain."""
        context, directory = self._context, self._context.accounts.directory
        asked = request.query.get("emailaddress").rpartition("@")[2] or request.host.name.removeprefix("autoconfig.")
        domain = asked if directory.is_local(asked) else next(iter(directory.domains()), "")
        if not domain:
            raise HttpRefusal(404)
        document = mail_settings(domain, context.names.host_name(), context.mail_services())
        return HttpResponse(200, document.encode(), MEDIA_TYPE)

    def _redirect(self, request: HttpRequest) -> HttpResponse:
        return redirect(self._secure_address(request) + _quoted(request), 308)

    def _secure_address(self, request: HttpRequest) -> str:
        port = self._context.https_port()
        if not port:
            raise HttpRefusal(404)
        name = f"[{request.host.name}]" if ":" in request.host.name else request.host.name
        return f"https://{name}" + (f":{port}" if port != 443 else "")

    def _trust_page(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        language = request.language
        response = HttpResponse(200, trust_page(language, self._secure_address(request), fingerprint).encode())
        response.fields.append(("content-security-policy", POLICY.format(_style_digest())))
        return response


def authority_file(pem: str) -> HttpResponse:
    """The certificate that devices install."""
    fields = [("content-disposition", 'attachment; filename="pillarbox.crt"')]
    return HttpResponse(200, pem.encode(), AUTHORITY_TYPE, fields)


def trust_page(_: Language, secure_address: str, fingerprint: str) -> str:
    """One page, complete in itself: it is readable before any certificate is trusted."""
    paragraphs = (
        f'<p><a href="/trust/pillarbox.crt">{escape(_("Download the certificate"))}</a></p>',
        f"<p>{escape(_('Compare its SHA-256 fingerprint with the one that `pillarbox certificate show` prints on the server:'))}</p>",
        f"<p><code>{escape(fingerprint)}</code></p>",
        f"<p>{escape(_('Install it on your devices as a trusted authority. It can only vouch for this server, nothing else.'))}</p>",
        f'<p><a href="{escape(secure_address)}/">{escape(_("Go on to the server"))}</a></p>',
    )
    title = escape(_("Trust this mail server"))
    first = escape(_("This server made its own certificate. Until your device trusts it, browsers and mail programs warn."))
    return (
        f'<!DOCTYPE html><html lang="{_.tag}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1><p>{first}</p>{''.join(paragraphs)}</main></html>"
    )


def _style_digest() -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def _quoted(request: HttpRequest) -> str:
    from urllib.parse import quote

    path = "/" + "/".join(quote(segment, safe="!$&'()*+,;=:@") for segment in request.target.segments)
    return path + (f"?{request.target.query}" if request.target.query.isascii() and request.target.query else "")
