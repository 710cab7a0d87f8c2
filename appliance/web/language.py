"""The language of a response, and refusals in it. The languages there are: `languages/catalogues`."""

from appliance.languages.catalogues import Language, catalogue, tags
from appliance.mail.errors import SetupError
from appliance.protocol.http.negotiation import best_language


def language_of(chosen: str, accepted: str) -> Language:
    """The session's or the cookie's choice; without one, what the browser prefers (Accept-Language)."""
    return catalogue(chosen if chosen in tags() else best_language(accepted, tags()))


def refusal_text(error: SetupError, _: Language) -> str:
    """A refusal in words for a page: a remedy that is a command is left out, since pages have buttons."""
    remedy = "" if "pillarbox " in error.remedy else error.remedy
    return f"{_(error.problem)} {_(remedy)}".strip()
