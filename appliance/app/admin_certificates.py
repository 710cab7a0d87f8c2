"""Admin requests about the server's certificate and its authority."""

from typing import Any

from appliance.certificates.certificates import OwnCertificates, describe, export, show
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence, joined
from appliance.network.tls import ServerTls

from .admin_request import Answers, Running
from .components import Components


class CertificateRequests:
    """Answers what is asked about certificates; a refusal is SetupError, and then nothing has changed."""

    def __init__(self, components: Components, running: Running | None = None) -> None:
        self._certificates = components.certificates
        self._tls: ServerTls | None = running.tls if running else None

    def answers(self) -> Answers:
        return (
            (controls.ShowCertificate, self.show_certificate),
            (controls.ExportCertificate, self.export_certificate),
            (controls.RenewCertificate, self.renew_certificate),
            (controls.NewAuthority, self.new_authority),
        )

    async def show_certificate(self, request: controls.ShowCertificate) -> Response:
        if self._tls is None:
            stopped = Sentence("The server is not running; a certificate that its settings name is not shown.")
            text = joined(show(self._certificates.server.parent), stopped, by="\n")
            return Response(text, {"text": text})
        served = self._tls.facts
        facts: dict[str, Any] = {"names": list(served.names), "not_after_at": served.not_after_at, "source": self._tls.source}
        facts |= {"fingerprint": served.fingerprint, "file": str(self._tls.file)}
        if self._tls.source == "own":
            lines = describe(Sentence("certificate in use, named in the settings"), served)
            text = joined(*lines, Sentence("  file         %(file)s", file=self._tls.file), by="\n")
        else:
            text = joined(show(self._certificates.server.parent), names_left_out(self._certificates), by="\n")
        return Response(text, facts | {"text": text})

    async def export_certificate(self, request: controls.ExportCertificate) -> Response:
        text = export(self._certificates.server.parent)
        self._certificates.exported()
        return Response(text, {"pem": text})

    async def renew_certificate(self, request: controls.RenewCertificate) -> Response:
        if self._tls is not None and self._tls.source == "own":
            raise SetupError(
                Sentence("The server uses the certificate %(file)s, which it did not make.", file=self._tls.file),
                "Renew it where it came from and put it in its place; the server then reads it without a restart.",
            )
        await self._certificates.ensure(force=True)
        return await self._reloaded("")

    async def new_authority(self, request: controls.NewAuthority) -> Response:
        await self._certificates.ensure(new_authority=True)
        return await self._reloaded(
            Sentence(
                "The authority is new. Until a device trusts it, its mail programs warn or refuse. Write it with "
                "`pillarbox certificate export --out FILE` and install it on each device."
            )
        )

    async def _reloaded(self, before: str) -> Response:
        if self._tls is not None:
            self._tls.reload()
        shown = await self.show_certificate(controls.ShowCertificate())
        return Response(joined(before, shown.text, by="\n"), shown.facts)


def names_left_out(certificates: OwnCertificates) -> str:
    """A sentence about names that the server certificate cannot carry; "" when there are none."""
    names = certificates.left_out()
    if not names:
        return ""
    return Sentence(
        "The server certificate does not name %(names)s: the authority that devices trust was made without them. "
        "Mail programs go on with the server names they know. For a new authority, which every device must then trust: "
        "pillarbox certificate new-authority",
        names=", ".join(names),
    )
