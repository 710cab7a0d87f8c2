"""What the handlers of admin requests share: the running server as they need it, and sentences about counts and passwords."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.accounts.passwords import check_strength, generate
from appliance.control.requests import Response
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.runtime.supervisor import Ending

if TYPE_CHECKING:
    from appliance.accounts.accounts import Accounts
    from appliance.accounts.directory import Account
    from appliance.network.tls import ServerTls

    from .listener_trial import ListenerTrial
    from .live_settings import LiveSettings

Answers = tuple[tuple[type, Callable[[Any], Awaitable[Response]]], ...]
"""(type of a request, what answers it)."""


@dataclass(frozen=True, slots=True)
class Running:
    """What only a running server has. `end_sessions` ends the sessions whose account or password is gone; how many.
    `trial`: of changed listeners. `live`: settings that take effect at once."""

    tls: "ServerTls"
    stop: Callable[[Ending], None]
    end_sessions: Callable[[], int]
    trial: "ListenerTrial | None" = None
    live: "LiveSettings | None" = None


def account_of(accounts: "Accounts", address: str) -> "Account":
    """The account of an address. Raises SetupError."""
    found = accounts.directory.find_login(address)
    if found is None:
        raise SetupError(Sentence('There is no account "%(address)s".', address=address), "See: pillarbox account list")
    return found


def given_or_generated(given: str, name: str = "") -> tuple[str, dict[str, Any]]:
    """(the password to set, {"password": ...} when it was generated here). `name`: whose it is. Raises SetupError for a weak one."""
    if given:
        check_strength(given, name)
        return given, {}
    made = generate()
    return made, {"password": made}


def shown_once(facts: dict[str, Any]) -> str:
    """The line that shows a generated password; "" without one."""
    return Sentence("Password: %(password)s   (shown this once; keep it)", password=facts["password"]) if "password" in facts else ""


def ended(facts: dict[str, Any]) -> str:
    """How many sessions a change ended, in a sentence; "" for none."""
    ended = facts["sessions_ended"]
    if not ended:
        return ""
    return Sentence.counted("%(number)s open session was signed out.", "%(number)s open sessions were signed out.", ended)
