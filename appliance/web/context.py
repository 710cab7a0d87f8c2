"""What the web is passed by the composition root, once: the only things of the server it knows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.mail.ids import AccountId

from .access import Names
from .connection import Patience

if TYPE_CHECKING:
    from appliance.accounts.accounts import Accounts
    from appliance.accounts.push_subscriptions import PushSubscriptions
    from appliance.accounts.second_factor import SecondFactors
    from appliance.accounts.setup_progress import SetupProgress
    from appliance.accounts.web_sessions import WebSessions
    from appliance.auth.login import Login
    from appliance.control.requests import Control
    from appliance.mail.clock import Clock
    from appliance.status.board import Board
    from appliance.store.transfer_service import TransferServices


@dataclass(frozen=True, slots=True)
class WebOptions:
    """`administrate_from_anywhere`: setup and administration answer public addresses too; `metrics_from_anywhere`: /health and /metrics.
    `requests_per_s`, `burst`: of one source, before its requests wait."""

    administrate_from_anywhere: bool = False
    metrics_from_anywhere: bool = False
    requests_per_s: float = 30.0
    burst: int = 200
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class WebContext:
    """`control`: the admin API, for what pages do. `https_port`: where https answers; 0 for nowhere. `mail_services`: protocol and port
    of each mail service, as clients reach it. `authority`: the certificate that devices trust, PEM and fingerprint; ("", "") when a
    certificate of the user's own is served. `challenge`: the answer to an ACME http-01 token (RFC 8555 §8.3); "" for none.
    `public_days`: how many days a publicly trusted certificate still lasts; 0 for any other. `is_admin`: may this account administrate?
    `transfers`: exports and imports, made at the first call. `push_subscriptions`: to be opened before they are asked."""

    control: "Control"
    board: "Board"
    accounts: "Accounts"
    login: "Login"
    second_factors: "SecondFactors"
    sessions: "WebSessions"
    push_subscriptions: "PushSubscriptions"
    progress: "SetupProgress"
    clock: "Clock"
    names: Names
    https_port: Callable[[], int]
    mail_services: Callable[[], tuple[tuple[str, int], ...]]
    authority: Callable[[], tuple[str, str]]
    challenge: Callable[[str], str]
    public_days: Callable[[], float]
    is_admin: Callable[[AccountId], bool]
    say: Callable[[str], None]
    transfers: "TransferServices"
    options: WebOptions = field(default_factory=WebOptions)
