"""app/web: what the web is told of the server."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from appliance.app.web import first_account_is_admin, search_domains
from appliance.mail.ids import AccountId


def test_search_domains(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert search_domains(file) == ()
    file.write_text("# made by DHCP\nnameserver 192.0.2.1\nsearch Fritz.Box lan.\ndomain home.arpa\n")
    assert search_domains(file) == ("fritz.box", "lan", "home.arpa")


def test_the_first_account_administrates() -> None:
    accounts = [SimpleNamespace(id=3), SimpleNamespace(id=2)]
    components: Any = SimpleNamespace(accounts=SimpleNamespace(directory=SimpleNamespace(accounts=lambda: accounts)))
    is_admin = first_account_is_admin(components)
    assert [is_admin(AccountId(number)) for number in (1, 2, 3)] == [False, True, False]
    accounts.clear()
    assert not is_admin(AccountId(2))
