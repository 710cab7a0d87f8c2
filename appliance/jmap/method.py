"""The contract of JMAP methods: a method is one row of a table, contributed by one file for each data type.

A method gets a Call and returns the arguments of its response, or several responses (RFC 8620 §3.4: implicit calls, such as the
Email/set after an EmailSubmission/set). It may raise MethodError; then nothing of the call was done. It runs to its end: methods
that write commit once, or once for each object where the RFC lets them fail apart.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance.accounts.push_subscriptions import Credentials
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError
from appliance.store.scope import Scope

CORE = "urn:ietf:params:jmap:core"

Response = tuple[str, dict[str, Any]]
"""Name and arguments."""


@dataclass(frozen=True, slots=True)
class JmapAccount:
    """An account as a caller may use it; `id` is what JMAP calls it. `read_only`: nothing in it can be changed, save what is subscribed.
    `viewer`: who calls, where it is the account of another, of which they see what is shared with them (`store/scope`)."""

    id: str
    account: AccountId
    name: str
    is_personal: bool = True
    read_only: bool = False
    viewer: AccountId | None = None

    @property
    def scope(self) -> Scope:
        return Scope(self.account, self.viewer or self.account)

    def expect_writable(self) -> None:
        """Raises MethodError accountReadOnly."""
        if self.read_only:
            raise MethodError("accountReadOnly", "This account can be read only.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever is signed in, and the accounts open to them; the first is their own. `credentials` None: the server itself asks."""

    account: AccountId
    address: str
    accounts: tuple[JmapAccount, ...]
    credentials: Credentials | None = None


@dataclass(slots=True)
class Call:
    """One method call. `created`: creation ids of this request, to which a method adds what it makes. `using`: its capabilities."""

    name: str
    arguments: Arguments
    caller: Caller
    created: dict[str, str] = field(default_factory=dict)
    using: frozenset[str] = frozenset()

    def account(self, argument: str = "accountId", *, write: bool = False) -> JmapAccount:
        """The account named by the argument. Raises MethodError: accountNotFound, accountReadOnly, invalidArguments."""
        wanted = self.arguments.id(argument)
        found = next((one for one in self.caller.accounts if one.id == wanted), None)
        if found is None:
            raise MethodError("fromAccountNotFound" if argument == "fromAccountId" else "accountNotFound", f"There is no account {wanted}.")
        if write:
            found.expect_writable()
        return found


@dataclass(frozen=True, slots=True)
class Method:
    """`capability` must be in the request's `using`, or the method is unknown (RFC 8620 §3.3)."""

    name: str
    capability: str
    run: Callable[[Call], Awaitable[dict[str, Any] | list[Response]]]


class Methods(Protocol):
    """Contributes methods: one class for each data type or task."""

    def methods(self) -> tuple[Method, ...]: ...


def late_methods(make: Callable[[], Methods], capability: str, *names: str) -> tuple[Method, ...]:
    """Methods whose code is loaded at the first call of one of them: what few clients use costs no memory until then."""
    made: dict[str, Method] = {}

    def row(name: str) -> Method:
        async def run(call: Call) -> dict[str, Any] | list[Response]:
            if not made:
                made.update({one.name: one for one in make().methods()})
            return await made[name].run(call)

        return Method(name, capability, run)

    return tuple(map(row, names))
