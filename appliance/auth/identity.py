"""Who is on the line: the one thing a server holds of a person who signed in."""

from dataclasses import dataclass, field

from appliance.mail.ids import AccountId


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who proved who they are. `address` as the server writes it; `app_password` is the label of the
    app password that was used, "" for the main password; `password` the number of its row, which no later password has."""

    account: AccountId
    address: str
    app_password: str = ""
    password: int = field(default=0, compare=False)
