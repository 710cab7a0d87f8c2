"""Certificates for tests: an authority and a server certificate in a directory, and the contexts to use them."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.certificates.certificates import export
from appliance.certificates.contents import WantedCertificate, wanted
from appliance.certificates.maker import make

STRICT = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
"""The default verification flags of Python 3.13."""


@dataclass(frozen=True)
class TestCertificates:
    """`server` holds key and certificate; `client()` trusts `authority` strictly."""

    __test__ = False
    directory: Path
    server: Path
    authority_pem: str

    def client(self, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority_pem)
        context.verify_flags |= STRICT
        context.maximum_version = newest
        return context


def make_certificates(directory: Path, want: WantedCertificate | None = None, not_before_at: int | None = None) -> TestCertificates:
    """Made by the server's own maker for box.local, example.test and the loopback addresses; valid from an hour ago."""
    begin = int(datetime.now(UTC).timestamp()) - 3600 if not_before_at is None else not_before_at
    make(directory, want or wanted("box", ["example.test"], []), begin, trusted=True)
    return TestCertificates(directory, directory / "server.pem", export(directory))
