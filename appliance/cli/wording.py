"""What a command says, in the language of whoever typed it (LANGUAGE, LC_ALL, LC_MESSAGES, LANG)."""

import os

from appliance.languages.catalogues import language_of_environment
from appliance.mail.errors import PillarboxError, SetupError


def in_words(error: PillarboxError) -> str:
    """A failure: what happened, then what to do."""
    _ = language_of_environment(os.environ)
    if isinstance(error, SetupError):
        return f"{_(error.problem)} {_(error.remedy)}".strip()
    return _(str(error))
