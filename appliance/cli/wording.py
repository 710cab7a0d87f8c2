"""What a command says, in the language of whoever typed it (LANGUAGE, LC_ALL, LC_MESSAGES, LANG)."""

import os

from appliance.languages.catalogues import Language, language_of_environment
from appliance.mail.errors import PillarboxError, SetupError


def words() -> Language:
    """The language of whoever typed the command."""
    return language_of_environment(os.environ)


def in_words(error: PillarboxError) -> str:
    """A failure: what happened, then what to do."""
    _ = words()
    if isinstance(error, SetupError):
        return f"{_(error.problem)} {_(error.remedy)}".strip()
    return _(str(error))
