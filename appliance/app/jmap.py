"""JMAP put together: the service behind the web, browsers' sessions, and what is pushed to push services.

The service is made at its first request, and the code that pushes is loaded when there is a push subscription.
"""

import traceback
from functools import cache
from typing import TYPE_CHECKING

import trio

from appliance.accounts.push_subscriptions import Credentials, PushSubscriptions
from appliance.accounts.web_sessions import WebSessions
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.runtime.vapid_key_file import VapidKeyFile

from .web_address import own_addresses

if TYPE_CHECKING:
    from appliance.accounts.send_quota import SendQuota
    from appliance.delivery.submission import SubmissionRules, Submitter
    from appliance.jmap.push_encryption import VapidSigner
    from appliance.jmap.push_sender import PushSender
    from appliance.jmap.service import JmapService, Sending
    from appliance.mail.ids import AccountId
    from appliance.network.public_dial import PublicDialer

    from .components import Components
    from .outbound import Outbound


class JmapParts:
    """Of one running server. `service` and `dialer` are made when they are first asked for."""

    def __init__(self, components: "Components", send_quota: "SendQuota", outbound: "Outbound") -> None:
        self._components = components
        self.send_quota = send_quota
        self._outbound = outbound
        self.largest_octets = outbound.largest_octets
        self._submitter: Submitter | None = None
        self.sessions = WebSessions(components.database, components.clock, components.accounts.is_current)
        self.subscriptions = PushSubscriptions(components.database, components.clock, self._is_live)
        self._key = VapidKeyFile(components.certificates.server.parent)
        self.sessions.ended = self.subscriptions.look
        self.service = cache(self._make_service)
        self.dialer = cache(self._make_dialer)

    def _is_live(self, account: "AccountId", credentials: Credentials) -> bool:
        if credentials.session:
            return self.sessions.is_known(credentials.session)
        return self._components.accounts.is_current(account, credentials.password)

    async def push(self) -> None:
        """Push to push services, for ever: nothing is loaded before there is a subscription."""
        await self.subscriptions.open()
        while not self.subscriptions.all():
            await self.subscriptions.changed()
        await self.sessions.open()
        await (await self._sender()).run()

    async def _sender(self) -> "PushSender":
        from appliance.jmap.push_client import PushClient
        from appliance.jmap.push_sender import PushSender

        key = await self._key.key()

        def make_signer() -> "VapidSigner":
            from appliance.jmap.push_encryption import VapidSigner

            return VapidSigner(key.public, key.pem, f"mailto:postmaster@{next(iter(self._components.domains), 'localhost')}")

        service = await trio.to_thread.run_sync(self.service)
        client = PushClient(self.dialer(), make_signer, self._components.clock)
        log = self._components.journal.log
        return PushSender(service, self.subscriptions, client, server_key=key.public, report=self._report, log=log)

    def _make_service(self) -> "JmapService":
        from appliance.jmap.pushing import Pushing
        from appliance.jmap.service import JmapService

        components = self._components
        pushing = Pushing(self.subscriptions, self._key, components.clock)
        return JmapService(components.store, components.accounts.directory, self._report, self._sending(), pushing)

    def _report(self, name: str, fault: BaseException) -> None:
        log = self._components.journal.log
        log(f"{name} failed: {fault!r}")
        if not isinstance(fault, SetupError):
            log("".join(traceback.format_exception(fault)))

    def _make_dialer(self) -> "PublicDialer":
        import ssl

        from appliance.network.public_dial import PublicDialer
        from appliance.network.resolver import addresses_of

        async def resolve(name: str) -> tuple[str, ...]:
            return (await addresses_of(self._outbound.resolver(), name)).values

        return PublicDialer(resolve, lambda: own_addresses(resolve, self._components.host_name()), ssl.create_default_context)

    def settings_changed(self) -> None:
        """Of what takes effect at once (`live_settings`)."""
        if self._submitter is not None:
            self._submitter.rules = self._rules()

    def _rules(self) -> "SubmissionRules":
        from appliance.delivery.submission import SubmissionRules

        messages = self._components.settings.messages
        return SubmissionRules(self._components.host_name(), messages.largest_mb * MB, messages.recipients, messages.others_as_sender)

    def _sending(self) -> "Sending":
        """What JMAP submits with: intake, rights, quota and queue are those of SMTP."""
        from appliance.delivery.submission import Submitter
        from appliance.jmap.service import Sending

        from .server_message import intake_of

        components, outbound = self._components, self._outbound

        self._submitter = Submitter(
            intake=intake_of(components, outbound),
            directory=components.accounts.directory,
            relay_check=outbound.relay_check,
            sending=self.send_quota,
            clock=components.clock,
            rules=self._rules(),
        )
        return Sending(self._submitter, outbound.queue, components.accounts.directory, components.clock)
