"""What pushing to push services needs beside the store."""

from dataclasses import dataclass

from appliance.accounts.push_subscriptions import PushSubscriptions
from appliance.mail.clock import Clock
from appliance.runtime.vapid_key_file import VapidKeyFile


@dataclass(frozen=True, slots=True)
class Pushing:
    """`key`: what push services know this server by."""

    subscriptions: PushSubscriptions
    key: VapidKeyFile
    clock: Clock
