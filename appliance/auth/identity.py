"""Who is on the line: the one thing a server holds of a person who signed in."""

from dataclasses import dataclass

from appliance.mail.ids import PersonId


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who proved who they are. `address` as the house writes it; `app_password` is the label of the
    app password that was used, "" for the main password."""

    person: PersonId
    address: str
    app_password: str = ""
