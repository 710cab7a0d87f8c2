"""A signed-in client of the web pages over real TLS: keeps cookies and the token of the last page."""

import re
import ssl
from http.client import HTTPResponse, HTTPSConnection
from types import TracebackType
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


class HttpsClient:
    """`ask` gives status, fields and body. One connection, opened anew when the server closed it."""

    def __init__(self, port: int, authority: str | ssl.SSLContext) -> None:
        """`authority`: the certificate to trust, or what says which are."""
        context = authority if isinstance(authority, ssl.SSLContext) else ssl.create_default_context(cadata=authority)
        self.connection = HTTPSConnection("localhost", port, timeout=60, context=context)
        self.cookies: dict[str, str] = {}
        self.token = ""

    def __enter__(self) -> "HttpsClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: object = None, **fields: str) -> HTTPResponse:
        """The response, its body unread."""
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, path, body, given)  # type: ignore[arg-type]
        response = self.connection.getresponse()
        for cookie in response.headers.get_all("set-cookie") or ():
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return response

    def ask(self, method: str, path: str, body: object = None, **fields: str) -> tuple[int, dict[str, str], bytes]:
        response = self.send(method, path, body, **fields)
        octets = response.read()
        if found := re.search(rb'name="token" value="([^"]+)"', octets):
            self.token = found[1].decode()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, octets

    def post(self, path: str, **values: str) -> tuple[int, dict[str, str], bytes]:
        body = urlencode({"token": self.token, **values})
        return self.ask("POST", path, body, content_type=FORM, accept="text/html")

    def sign_in(self, name: str, password: str) -> None:
        self.ask("GET", "/sign-in", accept="text/html")
        status, _, _ = self.post("/sign-in", name=name, password=password)
        assert status == 303
        self.ask("GET", "/own/", accept="text/html")
