"""LOGIN: name, then password, each with a challenge (never standardised; draft-murchison-sasl-login), for old clients.

States: waiting for the name -> waiting for the password -> over. An initial response is taken as the name, as Outlook sends it.
"""

from .mechanism import Challenge, CheckPassword, Failed, Step, StepsUnused, read_name, read_password


class LoginMechanism(StepsUnused):
    """The prompts are the ones every client expects, "Username:" and "Password:"."""

    def __init__(self) -> None:
        self._name: str | None = None

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"Username:")
        if self._name is None:
            self._name = read_name(response)
            return Failed("LOGIN name is empty, too long or not UTF-8") if self._name is None else Challenge(b"Password:")
        password = read_password(response)
        if password is None:
            return Failed("LOGIN password is empty, too long or not UTF-8")
        return CheckPassword(self._name, password)
