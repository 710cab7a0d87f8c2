"""Messages that tell the owner of an account what was done to it, in the owner's language: the subject and text of each.

Best effort: what was done is done and stored before; a message that cannot be stored (a full mailbox, failing storage) is a log line.
"""

from collections.abc import Awaitable, Callable

from appliance.control.requests import Response, SendServerMessage
from appliance.languages.catalogues import Language
from appliance.mail.errors import SetupError, StoreError
from appliance.mail.sentence import Sentence, joined

Tell = Callable[[str, str, str], Awaitable[None]]
"""(address of the account, subject, text)."""


def owner_teller(
    send: Callable[[SendServerMessage], Awaitable[Response]], language_of: Callable[[str], Language], log: Callable[[str], object]
) -> Tell:
    """Sends them by `send`, in the language of the address."""

    async def tell(address: str, subject: str, text: str) -> None:
        _ = language_of(address)
        try:
            await send(SendServerMessage(address, _(subject), _(text)))
        except (SetupError, StoreError) as trouble:
            log(f"{address} could not be told: “{subject}” ({trouble})")

    return tell


def password_was_reset() -> tuple[str, str]:
    return Sentence("Your password was changed by an administrator"), joined(
        Sentence(
            "An administrator of this mail server has set a new password for your account. Programs and browsers that used the old one "
            "are signed out, and passkeys are removed; devices with a password of their own go on."
        ),
        Sentence(
            "When you sign in on the web pages of the server, you are asked to choose a password that only you know. Until then your mail "
            "programs work with the one the administrator gave you."
        ),
        Sentence("If you did not ask for this, talk to the administrator."),
        by="\n\n",
    )


def second_factor_enabled() -> tuple[str, str]:
    return Sentence("Your account has a second factor now"), joined(
        Sentence(
            "Signing in with a browser asks for a code of your app from now on, or for a recovery code. Mail programs need a password of "
            "their own each, which your own page makes; with the password of your account they are refused, and those that used it are "
            "signed out."
        ),
        Sentence("If this was not you, ask an administrator to switch the second factor off and to give you a new password."),
        by="\n\n",
    )


def second_factor_removed(by_owner: bool) -> tuple[str, str]:
    return Sentence("Your account has no second factor any more"), joined(
        joined(
            "" if by_owner else Sentence("An administrator of this mail server has done this."),
            Sentence("The password of your account is enough again to sign in with a browser, and opens mail programs too."),
        ),
        Sentence("If you did not want this, change your password and switch the second factor on again on your own page."),
        by="\n\n",
    )


def passkey_added(name: str, host: str) -> tuple[str, str]:
    return Sentence("Your account has a new passkey"), joined(
        Sentence(
            "“%(name)s” signs in to your account now, on the web pages at %(host)s, without your password.",
            name=name,
            host=host,
        ),
        Sentence(
            "If this was not you, somebody knows your password: remove the passkey on your own page, and choose a new password there."
        ),
        by="\n\n",
    )


def passkey_removed(name: str) -> tuple[str, str]:
    return Sentence("A passkey of your account was removed"), Sentence(
        "An administrator of this mail server has removed “%(name)s”: it does not sign in to your account any more. Your password does, "
        "and on your own page you can make a new passkey.",
        name=name,
    )
