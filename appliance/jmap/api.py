"""The JMAP API: a request in, a response out; the method calls one after the other (RFC 8620 §3).

| a call                          | its response                                                    | the calls after it |
|---------------------------------|-----------------------------------------------------------------|--------------------|
| done                            | the method's name with its arguments                            | go on              |
| raised MethodError              | `error`                                                         | go on              |
| of an unknown method            | `error` unknownMethod                                           | go on              |
| met storage that is full        | `error` serverFail, with what the store said                    | go on              |
| failed in any other way         | `error` serverFail; the fault goes to the log, not the client   | go on              |

Invariants: one request's calls never run side by side; a caller has at most `limits.requests` requests at once, others
wait for a while (then the error is limit maxConcurrentRequests); cancellation ends a request between two commits, never inside one.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, RequestError
from appliance.protocol.jmap.references import Response as NamedResponse
from appliance.protocol.jmap.references import resolve
from appliance.protocol.jmap.request import JmapLimits, JmapRequest, MethodCall, parse_request

from .method import CORE, Call, Caller, JmapAccount, Method, Response
from .session import session_state


async def echo(call: Call) -> dict[str, Any]:
    """Core/echo: the arguments again (RFC 8620 §4)."""
    return call.arguments.rest()


WAITING, WAITING_OCTETS, WAIT_S = 16, 64 * 1024, 10.0
"""Of an account so many requests beyond those at once wait for a place, so long at most: all tabs of a browser ask when mail comes. Large
ones are refused, as they would hold what they brought."""
SESSION_STATES = 100
"""Kept: of so many callers."""
ECHO = Method("Core/echo", CORE, echo)


class JmapApi:
    """The API of one server. `capabilities`: each with what the session object has about it. `report` gets faults of ours."""

    def __init__(
        self,
        methods: Sequence[Method],
        capabilities: Mapping[str, Mapping[str, Any]],
        *,
        limits: JmapLimits,
        report: Callable[[str, BaseException], None],
    ) -> None:
        """Raises ValueError when two methods have one name."""
        self._methods = {method.name: method for method in (ECHO, *methods)}
        if len(self._methods) != len(methods) + 1:
            raise ValueError("two JMAP methods have one name")
        self.limits = limits
        self.capabilities = {CORE: _core_facts(limits), **capabilities}
        self._report = report
        self._places: dict[AccountId, trio.CapacityLimiter] = {}
        """Of accounts with a request under way."""
        self._session_states: dict[tuple[str, tuple[JmapAccount, ...], int], str] = {}

    async def handle(self, octets: bytes, caller: Caller) -> dict[str, Any]:
        """The response object. Raises RequestError, and then nothing was done."""
        request = parse_request(octets, self.limits, self.capabilities)
        async with self._place(caller.account, len(octets)):
            return await self._carry_out(request, caller)

    @asynccontextmanager
    async def _place(self, account: AccountId, octets: int) -> AsyncIterator[None]:
        """One of the account's places for requests under way. Raises RequestError when there is none, nor will be soon."""
        places = self._places.setdefault(account, trio.CapacityLimiter(self.limits.requests))
        has_place = False
        try:
            if places.available_tokens or (octets <= WAITING_OCTETS and places.statistics().tasks_waiting < WAITING):
                with trio.move_on_after(WAIT_S):
                    await places.acquire()
                    has_place = True
            if not has_place:
                raise RequestError("limit", f"At most {self.limits.requests} requests at once.", limit="maxConcurrentRequests", status=429)
            yield
        finally:
            if has_place:
                places.release()
            if not places.borrowed_tokens and not places.statistics().tasks_waiting:
                self._places.pop(account, None)

    def _session_state(self, caller: Caller) -> str:
        """`session.session_state`, worked out again only when a fact of it is another."""
        facts = (caller.address, caller.accounts, len(self.capabilities))  # a capability is only ever added
        if facts not in self._session_states:
            if len(self._session_states) >= SESSION_STATES:
                self._session_states.clear()
            self._session_states[facts] = session_state(caller, self.capabilities)
        return self._session_states[facts]

    async def _carry_out(self, request: JmapRequest, caller: Caller) -> dict[str, Any]:
        created = dict(request.created_ids or {})
        responses: list[NamedResponse] = []
        for called in request.calls:
            for name, arguments in await self._respond(called, request.using, responses, caller, created):
                responses.append((name, arguments, called.id))
        answer: dict[str, Any] = {
            "methodResponses": [list(one) for one in responses],
            "sessionState": self._session_state(caller),
        }
        if request.created_ids is not None:
            answer["createdIds"] = created
        return answer

    async def _respond(
        self, called: MethodCall, using: frozenset[str], earlier: Sequence[NamedResponse], caller: Caller, created: dict[str, str]
    ) -> list[Response]:
        method = self._methods.get(called.name)
        try:
            if method is None or method.capability not in using:
                return [("error", {"type": "unknownMethod", "description": f"Its capability is not in use: {called.name[:100]}."})]
            done = await method.run(Call(called.name, Arguments(resolve(called.arguments, earlier)), caller, created, using))
        except MethodError as error:
            return [("error", error.response)]
        except StoreError as error:
            return [("error", {"type": "serverFail", "description": str(error)})]
        except Exception as fault:
            self._report(called.name, fault)
            return [("error", {"type": "serverFail", "description": "The server failed in this call; its log has more."})]
        return done if isinstance(done, list) else [(called.name, done)]


def _core_facts(limits: JmapLimits) -> dict[str, Any]:
    """The core capability's object (RFC 8620 §2)."""
    return {
        "maxSizeUpload": limits.upload_octets,
        "maxConcurrentUpload": limits.uploads,
        "maxSizeRequest": limits.request_octets,
        "maxConcurrentRequests": limits.requests,
        "maxCallsInRequest": limits.calls,
        "maxObjectsInGet": limits.objects_in_get,
        "maxObjectsInSet": limits.objects_in_set,
        "collationAlgorithms": ["i;ascii-casemap", "i;unicode-casemap"],
    }
