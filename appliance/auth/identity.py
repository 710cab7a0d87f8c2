"""The authenticated identity of a session."""

from dataclasses import dataclass, field

from appliance.accounts.accounts import NO_PASSWORD
from appliance.mail.errors import AuthError
from appliance.mail.ids import AccountId

APP_PASSWORD_NEEDED = (
    "The password is right, but this account has a second factor: make a password for this device on your own page in the browser."  # noqa: S105 - a sentence
)


class AppPasswordNeeded(AuthError):
    """The account has a second factor, so its own password opens browsers only. An AuthError, so that who forgets it lets nobody in."""

    def __init__(self) -> None:
        super().__init__(APP_PASSWORD_NEEDED)


@dataclass(frozen=True, slots=True)
class Identity:
    """The account a client authenticated as. `address` as the server writes it; `app_password` is the label of the
    app password that was used, "" for the main password; `password` the number of its row, which no later password has,
    NO_PASSWORD where another kind of credential was used."""

    account: AccountId
    address: str
    app_password: str = ""
    password: int = field(default=NO_PASSWORD, compare=False)
