"""The authenticated identity of a session."""

from dataclasses import dataclass, field

from appliance.accounts.accounts import NO_PASSWORD
from appliance.mail.ids import AccountId


@dataclass(frozen=True, slots=True)
class Identity:
    """The account a client authenticated as. `address` as the server writes it; `app_password` is the label of the
    app password that was used, "" for the main password; `password` the number of its row, which no later password has,
    NO_PASSWORD where another kind of credential was used."""

    account: AccountId
    address: str
    app_password: str = ""
    password: int = field(default=NO_PASSWORD, compare=False)
