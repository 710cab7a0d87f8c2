"""Who may change something at the serial console: an administrator, as on the web; with no account yet, whoever has the setup code.

| the server has                     | is asked for                                                        |
|------------------------------------|---------------------------------------------------------------------|
| no account                         | the setup code, which the console shows                             |
| a one-time password (the button)   | that password, which the console shows                              |
| one administrator                  | the password of that account                                        |
| several                            | the address of one, then its password                               |

An account with a second factor is then asked for a code too (`accounts/second_factor`).

Passwords are checked by the `Login` of all services, with its throttle; an app password opens nothing here. What was granted lasts as
long as the account has that password and the role, and no longer than the console is in use. A one-time password is made by the button,
is in memory only, and ends with its first use: whoever can hold the button while the box starts may have forgotten every other.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.accounts.passwords import generate, prepare
from appliance.auth.login import LoginAttempt
from appliance.mail.sentence import Sentence
from appliance.panel.ports import AdminGrant, SignInStep

if TYPE_CHECKING:
    from appliance.accounts.accounts import Accounts
    from appliance.accounts.second_factor import SecondFactors
    from appliance.accounts.setup_code import SetupCode
    from appliance.auth.identity import Identity
    from appliance.auth.login import Login

ATTEMPT = LoginAttempt("console", "console", "form")
CONSOLE = b"console"
"""The source of its codes, as for the throttle."""
WRONG = Sentence("The address or the password is wrong.")


@dataclass(frozen=True, slots=True)
class BoxGrant:
    """Granted by a code that only the box itself shows."""

    def holds(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class AccountGrant:
    """Granted to an administrator who signed in."""

    accounts: "Accounts"
    identity: "Identity"

    def holds(self) -> bool:
        identity, accounts = self.identity, self.accounts
        return accounts.directory.is_admin(identity.account) and accounts.is_current(identity.account, identity.password)


class OneTimePassword:
    """The password that the button makes. `text` is "" for none."""

    def __init__(self) -> None:
        self.text = ""

    def make(self) -> None:
        """A new one; the one before is void."""
        self.text = generate()

    def use(self, typed: str) -> bool:
        """Is it the password? Then it is void from now on."""
        fits = bool(self.text) and hmac.compare_digest(prepare(typed), prepare(self.text))
        if fits:
            self.text = ""
        return fits


class ConsoleAccess:
    """The sign-in of the serial console."""

    def __init__(
        self,
        accounts: "Accounts",
        login: "Callable[[], Login]",
        second_factors: "Callable[[], SecondFactors]",
        one_time: OneTimePassword,
        setup_code: "SetupCode | None" = None,
    ) -> None:
        self._accounts = accounts
        self._login = login
        self._second_factors = second_factors
        self._one_time = one_time
        self._setup_code = setup_code

    @property
    def notice(self) -> str:
        """What the console's first screen says of it, or ""."""
        if code := self._shown_code():
            return Sentence("No account yet. Press 4, then a, and type this setup code: %(code)s", code=code)
        return Sentence("One-time password: %(password)s", password=self._one_time.text) if self._one_time.text else ""

    def begin(self) -> SignInStep | str:
        if self._shown_code():
            return SignInStep(Sentence("Setup code:"), self._check_setup_code)
        if self._one_time.text:
            return SignInStep(Sentence("One-time password:"), self._check_one_time)
        admins = [one for one in self._accounts.directory.accounts() if one.administrates]
        if not admins:
            return Sentence("No account is an administrator yet: pillarbox account admin ADDRESS --on")
        if len(admins) == 1:
            return self._password_step(admins[0].address)
        return SignInStep(Sentence("Address of an administrator:"), self._take_address, hidden=False)

    def _shown_code(self) -> str:
        return self._setup_code.shown if self._setup_code else ""

    async def _check_setup_code(self, typed: str) -> AdminGrant | str:
        if self._setup_code is not None and (await self._setup_code.verify(typed)).accepted:
            return BoxGrant()
        return Sentence("That is not the setup code.")

    async def _check_one_time(self, typed: str) -> AdminGrant | str:
        return BoxGrant() if self._one_time.use(typed) else Sentence("That is not the one-time password.")

    async def _take_address(self, typed: str) -> SignInStep:
        """An unknown address is asked for its password too."""
        return self._password_step(typed.strip())

    def _password_step(self, address: str) -> SignInStep:
        async def check(typed: str) -> SignInStep | AdminGrant | str:
            return await self._check_password(address, typed)

        return SignInStep(Sentence("Password of %(address)s:", address=address), check)

    async def _check_password(self, address: str, password: str) -> SignInStep | AdminGrant | str:
        identity = await self._login().check_password(address, password, ATTEMPT)
        if identity is None or identity.app_password:
            return WRONG
        if not self._accounts.directory.is_admin(identity.account):
            return Sentence("%(address)s is not an administrator.", address=identity.address)
        grant = AccountGrant(self._accounts, identity)
        if self._accounts.secrets.second_factors.get(identity.account) is None:
            return grant

        async def check(typed: str) -> AdminGrant | str:
            return await self._second_factors().use(identity.account, typed, CONSOLE) or grant

        return SignInStep(Sentence("Code of the app, or a recovery code:"), check)
