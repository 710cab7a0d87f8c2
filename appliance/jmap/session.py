"""The session object: what a client learns first (RFC 8620 §2). Its URLs do not depend on the Host field of the request."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .identity import SUBMISSION
from .mailbox import MAIL
from .method import CORE, Caller, JmapAccount

WEBSOCKET = "urn:ietf:params:jmap:websocket"
VAPID = "urn:ietf:params:jmap:webpush-vapid"
OF_SERVER = (CORE, WEBSOCKET, VAPID)
"""Capabilities with facts of the server, and none of accounts."""


def session_object(caller: Caller, capabilities: Mapping[str, Mapping[str, Any]], base_url: str) -> dict[str, Any]:
    """`base_url`: scheme and host of the server, without a slash at the end."""
    of_accounts = [name for name in capabilities if name not in OF_SERVER]
    websocket = {"url": f"wss{base_url.removeprefix('https')}/jmap/ws", "supportsPush": True}
    facts_of_server = {**capabilities, WEBSOCKET: websocket}
    return {
        "capabilities": {name: facts_of_server[name] if name in OF_SERVER else {} for name in capabilities},
        "accounts": {
            one.id: {
                "name": one.name,
                "isPersonal": one.is_personal,
                "isReadOnly": one.read_only,
                "accountCapabilities": _capabilities_of(one, {name: capabilities[name] for name in of_accounts}),
            }
            for one in caller.accounts
        },
        "primaryAccounts": dict.fromkeys(of_accounts, caller.accounts[0].id),
        "username": caller.address,
        "apiUrl": f"{base_url}/jmap/api",
        "downloadUrl": f"{base_url}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?accept={{type}}",
        "uploadUrl": f"{base_url}/jmap/upload/{{accountId}}/",
        "eventSourceUrl": f"{base_url}/jmap/events?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
        "state": session_state(caller, capabilities),
    }


def _capabilities_of(account: JmapAccount, capabilities: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Nobody sends for another, and at the top of another's account are the owner's own mailboxes."""
    if account.viewer is None:
        return dict(capabilities)
    found = {name: facts for name, facts in capabilities.items() if name != SUBMISSION}
    return found | {MAIL: {**found[MAIL], "mayCreateTopLevelMailbox": False}}


def session_state(caller: Caller, capabilities: Mapping[str, Mapping[str, Any]]) -> str:
    """Changes when anything in the session object does."""
    facts = [caller.address, [[one.id, one.name, one.is_personal, one.read_only] for one in caller.accounts], capabilities]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
