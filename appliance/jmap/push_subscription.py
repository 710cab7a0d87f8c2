"""PushSubscription: get and set (RFC 8620 §7.2). They belong to the credentials of the request, not to an account, and have no state.

| property         | at creation                                  | later                                         | told by get         |
|------------------|----------------------------------------------|-----------------------------------------------|---------------------|
| id               | ours: P7                                     |                                               | yes                 |
| deviceClientId   | the client's                                 |                                               | yes                 |
| url, keys        | https at a public address; keys or null      |                                               | never               |
| verificationCode | null; ours is pushed to the URL              | the pushed one, and from then on changes are  | once it was given   |
| expires          | with a password at most MOST_S away          | the same                                      | yes                 |
| types            | names or null for all                        | the same                                      | yes                 |
| emailDelivery    | `email_delivery`                             | the same                                      | yes                 |

emailDelivery has the shape of draft-ietf-jmap-emailpush-00 and is for our own webmail: not announced, since it is not all of that draft,
and told only of a subscription that has it.
A client makes at most MADE subscriptions in MADE_S: each costs a server elsewhere a request.
"""

import hmac
from typing import Any

from appliance.accounts.push_subscriptions import (
    Credentials,
    PushKeys,
    PushSubscription,
    PushWanted,
    TooManySubscriptions,
)
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.ids import AccountId
from appliance.network.public_dial import is_public_host
from appliance.protocol.jmap.errors import MethodError, SetError, invalid, invalid_properties
from appliance.protocol.jmap.push_endpoint import parse_push_endpoint
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.smtp.futurerelease import parse_date_time

from .email_delivery import check_deliveries
from .header_forms import encode_date
from .ids import encode_id
from .method import CORE, Call, Method
from .pushing import Pushing
from .standard import SetOutcome, attempt, read_properties, read_set

READ = ("id", "deviceClientId", "verificationCode", "expires", "types", "emailDelivery")
SECRET = ("url", "keys")
CHANGED = ("verificationCode", "expires", "types", "emailDelivery")
MOST_S = 30 * 86_400
"""How far away a subscription that was made with a password may end: as long as a session of a browser lasts."""
DEVICE_CHARACTERS = 255
TYPES = 50
SECRET_OCTETS = 16
POINT_OCTETS = 65
MADE, MADE_S = 20, 3600.0


class PushSubscriptionMethods:
    """The methods of one server."""

    def __init__(self, pushing: Pushing, limits: JmapLimits) -> None:
        self._subscriptions, self._key, self._clock = pushing.subscriptions, pushing.key, pushing.clock
        self._limits = limits
        self._made: dict[AccountId, list[float]] = {}

    def methods(self) -> tuple[Method, ...]:
        return (Method("PushSubscription/get", CORE, self.get), Method("PushSubscription/set", CORE, self.set))

    async def get(self, call: Call) -> dict[str, Any]:
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, (*READ, *SECRET), READ)
        call.arguments.end()
        if not set(properties).isdisjoint(SECRET):
            raise MethodError("forbidden", "url and keys are never given back.")
        found = {}
        for row in await self._mine(call):
            whole = _encoded(row)
            found[whole["id"]] = {name: whole[name] for name in properties if name in whole}
        chosen = list(found) if wanted is None else [created_id(one, call.created) or one for one in wanted]
        return {"list": [found[one] for one in chosen if one in found], "notFound": [one for one in chosen if one not in found]}

    async def set(self, call: Call) -> dict[str, Any]:
        if call.arguments.text("ifInState"):
            raise invalid("Push subscriptions have no state.")
        request = read_set(call.arguments, "", self._limits.objects_in_set)
        call.arguments.end()
        outcome = SetOutcome()
        for name, new in request.create.items():
            await attempt(outcome, "notCreated", name, lambda name=name, new=new: self._create(call, outcome, name, new))  # type: ignore[misc]
        for one, patch in request.update.items():
            await attempt(outcome, "notUpdated", one, lambda one=one, patch=patch: self._update(call, outcome, one, patch))  # type: ignore[misc]
        for one in request.destroy:
            await attempt(outcome, "notDestroyed", one, lambda one=one: self._destroy(call, outcome, one))  # type: ignore[misc]
        answer = outcome.encode("", "", "")
        return {name: value for name, value in answer.items() if name not in ("accountId", "oldState", "newState")}

    async def _mine(self, call: Call) -> list[PushSubscription]:
        await self._subscriptions.open()
        return self._subscriptions.of(call.caller.account, _credentials(call))

    async def _find(self, call: Call, one: str) -> PushSubscription:
        wanted = created_id(one, call.created) or one
        found = next((row for row in await self._mine(call) if encode_id("P", row.id) == wanted), None)
        if found is None:
            raise SetError("notFound", "There is no such push subscription.")
        return found

    # --- create ----------------------------------------------------------------------------------

    async def _create(self, call: Call, outcome: SetOutcome, name: str, new: dict[str, Any]) -> None:
        unknown = [member for member in new if member not in (*READ[1:], *SECRET)]
        if unknown or new.get("verificationCode") is not None:
            raise invalid_properties("These cannot be set.", *unknown or ("verificationCode",))
        credentials = _credentials(call)
        device, keys = new.get("deviceClientId"), _keys(new.get("keys"))
        if not isinstance(device, str) or not 0 < len(device) <= DEVICE_CHARACTERS:
            raise invalid_properties("A push subscription says which device it is of.", "deviceClientId")
        row = PushSubscription(
            call.caller.account, credentials, device, _url(new.get("url")), keys, await self._server_key(),
            self._wanted(call, new.get("types"), new.get("emailDelivery"), is_encrypted=keys is not None),
            int(self._clock.wall_s()), self._expires(new.get("expires"), credentials),
        )  # fmt: skip
        self._count(call.caller.account)
        await self._subscriptions.open()
        try:
            await self._subscriptions.add(row)
        except TooManySubscriptions:
            raise SetError("overQuota", "This account or this device has too many push subscriptions.") from None
        whole = _encoded(row) | {"keys": None}
        call.created[name] = whole["id"]
        told = ["id", *(one for one in ("keys", "verificationCode", "types") if one not in new)]
        if whole["expires"] != new.get("expires") or "expires" not in new:
            told.append("expires")
        outcome.created[name] = {one: whole[one] for one in told}

    async def _server_key(self) -> str:
        try:
            return (await self._key.key()).public
        except SetupError as error:
            raise SetError("serverFail", str(error)) from None

    def _count(self, account: AccountId) -> None:
        """Raises SetError rateLimit."""
        now = self._clock.mono_s()
        made = self._made[account] = [at for at in self._made.get(account, ()) if now - at < MADE_S]
        if len(made) >= MADE:
            raise SetError("rateLimit", f"At most {MADE} push subscriptions are made in an hour.")
        made.append(now)

    def _expires(self, given: Any, credentials: Credentials) -> int | None:
        """The end of a session ends its subscriptions anyway, so what its client says counts (RFC 8620 §7.2)."""
        now = int(self._clock.wall_s())
        at = parse_date_time(given.encode()) if isinstance(given, str) and given.endswith("Z") else None
        if given is not None and (at is None or at <= now):
            raise invalid_properties("It expires at an instant to come, such as 2030-01-31T12:00:00Z, or never: null.", "expires")
        if credentials.session:
            return at
        return min(now + MOST_S if at is None else at, now + MOST_S)

    @staticmethod
    def _wanted(call: Call, types: Any, deliveries: Any, *, is_encrypted: bool) -> PushWanted:
        is_list = isinstance(types, list) and len(types) <= TYPES and all(isinstance(one, str) and len(one) <= TYPES for one in types)
        if types is not None and not is_list:
            raise invalid_properties("types is a list of names, or null for all.", "types")
        if deliveries is not None and not is_encrypted:
            raise invalid_properties("What messages say is pushed encrypted only: there must be keys.", "emailDelivery", "keys")
        return PushWanted(None if types is None else tuple(types), check_deliveries(deliveries, call.caller.accounts[0].id))

    # --- update and destroy ------------------------------------------------------------------------

    async def _update(self, call: Call, outcome: SetOutcome, one: str, patch: dict[str, Any]) -> None:
        row = await self._find(call, one)
        unknown = [name for name in patch if name not in CHANGED]
        if unknown:
            raise invalid_properties("These stay as they are.", *unknown)
        code, verified = patch.get("verificationCode", ""), row.verified
        if "verificationCode" in patch:
            if not isinstance(code, str) or not hmac.compare_digest(code.encode("utf-8", "replace"), row.code.encode()):
                raise invalid_properties("That is not the code that was pushed.", "verificationCode")
            verified = True
        types = patch.get("types", row.wanted.types if row.wanted.types is None else list(row.wanted.types))
        wanted = self._wanted(call, types, patch.get("emailDelivery", row.wanted.deliveries), is_encrypted=row.keys is not None)
        expires_at = self._expires(patch["expires"], row.credentials) if "expires" in patch else row.expires_at
        await self._subscriptions.change(row, verified=verified, wanted=wanted, expires_at=expires_at)
        told = _encoded(row)["expires"]
        outcome.updated[one] = {"expires": told} if "expires" in patch and told != patch["expires"] else None

    async def _destroy(self, call: Call, outcome: SetOutcome, one: str) -> None:
        row = await self._find(call, one)
        await self._subscriptions.end([row])
        outcome.destroyed.append(encode_id("P", row.id))


def _credentials(call: Call) -> Credentials:
    if call.caller.credentials is None:
        raise MethodError("forbidden", "Push subscriptions belong to whoever signed in.")
    return call.caller.credentials


def _encoded(row: PushSubscription) -> dict[str, Any]:
    return {
        "id": encode_id("P", row.id),
        "deviceClientId": row.device,
        "verificationCode": row.code if row.verified else None,
        "expires": None if row.expires_at is None else encode_date(row.expires_at),
        "types": None if row.wanted.types is None else list(row.wanted.types),
        **({"emailDelivery": row.wanted.deliveries} if row.wanted.deliveries else {}),
    }


def _url(given: Any) -> str:
    try:
        endpoint = parse_push_endpoint(given) if isinstance(given, str) else None
    except MisuseError as error:
        raise invalid_properties(str(error), "url") from None
    if not isinstance(given, str) or endpoint is None or not is_public_host(endpoint.host):
        raise invalid_properties("A push service is at a public address.", "url")
    return given


def _keys(given: Any) -> PushKeys | None:
    if given is None:
        return None
    from appliance.mailauth.agreement import check_point

    from .push_encryption import decoded

    try:
        keys = PushKeys(decoded(given["p256dh"]), decoded(given["auth"])) if given.keys() == {"p256dh", "auth"} else None
        if keys is not None and len(keys.secret) == SECRET_OCTETS and len(keys.point) == POINT_OCTETS:
            check_point(keys.point)
            return keys
    except (TypeError, AttributeError, ValueError, MisuseError):
        pass
    raise invalid_properties("keys are p256dh and auth, each in base64url (RFC 8291 §3.1).", "keys")
