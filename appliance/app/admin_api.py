"""The admin API: the one implementation of the Control port, for the running server and for one opened for a single command.

Each request type has one answer, found in the tables of the `admin_*` modules. A refusal is SetupError with a sentence and
a remedy, and then nothing has changed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from appliance.control import requests as controls
from appliance.control.import_result import import_stopped
from appliance.control.requests import Response
from appliance.languages.catalogues import Language, catalogue
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError, StoreError

from .admin_accounts import AccountRequests
from .admin_certificates import CertificateRequests
from .admin_domains import DomainRequests
from .admin_forwarding import ForwardingRequests
from .admin_mailboxes import MailboxRequests
from .admin_passkeys import PasskeyRequests
from .admin_queue import QueueRequests
from .admin_request import Running, account_of
from .admin_second_factor import SecondFactorRequests
from .admin_server import ServerRequests
from .admin_settings import SettingsRequests
from .components import Components
from .outbound import Outbound
from .owner_messages import owner_teller
from .server_message import ServerMessages

if TYPE_CHECKING:
    from appliance.store.transfer import ImportSession


class AdminApi:
    """`running` None: the data directory is open for one command only, no server runs on it."""

    def __init__(self, components: Components, outbound: Outbound, running: Running | None = None) -> None:
        self._components = components
        messages = ServerMessages(components, outbound)
        tell = owner_teller(messages.send, self._language_of, components.journal.log)
        self._answers = dict((
            *AccountRequests(components, tell, running).answers(),
            *SecondFactorRequests(components, tell, running).answers(),
            *PasskeyRequests(components, tell, running).answers(),
            *MailboxRequests(components).answers(),
            *DomainRequests(components, outbound).answers(),
            *QueueRequests(components, outbound, is_running=running is not None).answers(),
            *CertificateRequests(components, running).answers(),
            *ServerRequests(components, outbound, running).answers(),
            *messages.answers(),
            *ForwardingRequests(components, outbound).answers(),
            *SettingsRequests(components, running).answers(),
        ))  # fmt: skip

    def _language_of(self, address: str) -> Language:
        """What the owner of an account is written to in."""
        directory = self._components.accounts.directory
        found = directory.find_login(address)
        return catalogue(directory.language_of(found.id if found else None))

    async def ask(self, request: controls.Request) -> Response:
        """The answer to a request. Raises SetupError, StoreError."""
        answer = self._answers.get(type(request))
        if answer is None:
            raise SetupError("The server does not know this command.", "See: pillarbox --help")
        return await answer(request)

    @asynccontextmanager
    async def import_messages(self, request: controls.Import) -> AsyncIterator["ImportSession"]:
        """Messages into an account's mailboxes, each counted in the commit that stores it."""
        from appliance.store.transfer import TOGETHER, ImportSession

        account = account_of(self._components.accounts, request.address).id
        session = await ImportSession.begin(
            self._components.database, self._components.store, account, request.source, request.mailbox, together=TOGETHER
        )
        try:
            yield session
            await session.finish()
        except StoreError as refusal:
            raise import_stopped(refusal, session.stored, request.address) from refusal
        finally:
            await session.aclose()

    def export_messages(self, request: controls.Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
        """An account's messages, mailbox by mailbox."""
        from appliance.store.transfer import export

        return export(self._components.store, account_of(self._components.accounts, request.address).id, request.mailbox)
