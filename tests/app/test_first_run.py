"""app/first_run: the first account, and what to enter in a mail program."""

from io import StringIO
from pathlib import Path
from typing import Any

from appliance.app.first_run import FALLBACK_DOMAIN, FirstAccount, first_account, guide
from appliance.control.requests import AddAccount, ListAccounts, ListDomains, Response
from appliance.network.sockets import Endpoint


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Admin:
    """Answers the three requests of a first run."""

    def __init__(self, accounts: list[str], domains: list[str]) -> None:
        self.accounts, self.domains, self.added = accounts, domains, list[str]()

    async def ask(self, request: Any) -> Response:
        if isinstance(request, ListAccounts):
            return Response("", {"accounts": [{"address": one} for one in self.accounts]})
        if isinstance(request, ListDomains):
            return Response("", {"domains": [{"name": one} for one in self.domains]})
        assert isinstance(request, AddAccount)
        self.added.append(request.address)
        return Response("", {"address": request.address, "password": "made-Here-1"})


async def test_an_account_is_added_on_a_terminal_only() -> None:
    admin: Any = Admin([], ["smith.example"])
    made = await first_account(admin, "", Terminal())
    assert admin.added == [made.address] and made.address.endswith("@smith.example") and made.password == "made-Here-1"
    piped: Any = Admin([], [])
    proposed = await first_account(piped, "", StringIO())
    assert not piped.added and proposed.address == "" and proposed.proposed.endswith(f"@{FALLBACK_DOMAIN}")
    there: Any = Admin(["ada@home.example"], ["home.example"])
    assert await first_account(there, "other.example", Terminal()) == FirstAccount("ada@home.example", "") and not there.added


def test_the_guide_names_each_listener_for_mail_programs() -> None:
    out = StringIO()
    bound = [
        Endpoint("smtp", "0.0.0.0", 2525),
        Endpoint("submissions", "127.0.0.1", 2465),
        Endpoint("imaps", "::1", 2993),
        Endpoint("imap", "::1", 1),
    ]
    guide(FirstAccount("ada@home.example", "made-Here-1"), bound, Path("/data"), out)
    text = out.getvalue()
    rows = [line.split() for line in text.splitlines() if "SSL/TLS" in line]
    assert [(row[1], row[4]) for row in rows] == [("SMTP", "2465"), ("IMAP", "2993")] and "made-Here-1" in text
    assert "smtp://localhost:2525" in text and "--data /data" in text


def test_without_an_account_the_guide_says_how_to_add_one() -> None:
    out = StringIO()
    guide(FirstAccount("", "", "me@home.arpa"), [Endpoint("imaps", "127.0.0.1", 2993)], Path("/data"), out)
    assert "account add me@home.arpa --data /data" in out.getvalue() and "curl" not in out.getvalue()
