"""The one implementation of the Controls port: what the server's people may ask of it, done.

The running server and a server opened for one command answer alike, because both are this. Each request is a method of
the table at the end; a refusal is SetupError, and then nothing has changed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from appliance.accounts.accounts import UNCHANGED
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import NotRunningError, SetupError, StoreError
from appliance.mail.limits import MB
from appliance.runtime.supervisor import Ending

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.accounts.accounts import Accounts
    from appliance.accounts.admin_password import Admin
    from appliance.accounts.directory import Account
    from appliance.certificates.certificates import OwnCertificates
    from appliance.database.database import Database
    from appliance.mail.ids import AccountId
    from appliance.network.tls import ServerTls
    from appliance.queue.entry import QueueEntry
    from appliance.status.board import Board
    from appliance.status.journal import Journal
    from appliance.store.store import Store
    from appliance.store.transfer import ImportSession

    from .outbound import Outbound


PROTOCOL_NAMES = {
    "smtp": "SMTP", "submission": "SMTP", "submissions": "SMTP", "imap": "IMAP", "imaps": "IMAP", "pop3": "POP3", "pop3s": "POP3",
}  # fmt: skip


class AdminApi:
    """Does what is asked. `board` None: this server is open for one command only, nobody is served."""

    def __init__(
        self,
        *,
        data: "Path",
        database: "Database",
        accounts: "Accounts",
        store: "Store",
        certificates: "OwnCertificates",
        board: "Board | None",
        tls: "ServerTls | None" = None,
        outbound: "Outbound",
        admin: "Admin",
        journal: "Journal",
        stop: Callable[[Ending], None] | None = None,
        end_sessions: Callable[[], int] | None = None,
    ) -> None:
        """`end_sessions` ends the open sessions whose account or password is gone, and says how many."""
        self._data = data
        self._database = database
        self._accounts = accounts
        self._store = store
        self._certificates = certificates
        self._tls = tls
        self._board = board
        self._outbound = outbound
        self._admin = admin
        self._journal = journal
        self._stop = stop
        self._end_sessions = end_sessions

    async def ask(self, request: controls.Request) -> Response:
        for kind, answer in _TABLE:
            if isinstance(request, kind):
                return await answer(self, request)
        raise SetupError("The server does not know this command.", "See: pillarbox --help")

    # --- how it is -------------------------------------------------------------------------------

    async def status(self, request: controls.Status) -> Response:
        from appliance.status.text import encode_snapshot, readable

        if self._board is None:
            accounts = self._accounts.directory.accounts()
            count = _count(len(accounts), "account", "accounts")
            text = f"Pillarbox is not running on {self._data}. It has {count}. Start it with: pillarbox serve"
            damaged = await self._is_damaged()
            if damaged:
                text = f"CRITICAL: The database is damaged. What is, and what to do: pillarbox check\n{text}"
            facts = {"accounts": len(accounts), "domains": list(self._accounts.directory.domains())}
            return Response(text, {"running": False, **facts, **({"damaged": True} if damaged else {})})
        snapshot = self._board.snapshot()
        return Response(readable(snapshot).rstrip("\n"), {"running": True, **encode_snapshot(snapshot)})

    async def _is_damaged(self) -> bool:
        from appliance.database.check import looks_damaged

        try:
            return await self._database.read(looks_damaged)
        except StoreError:
            return True

    # --- people ----------------------------------------------------------------------------------

    def account(self, address: str) -> "Account":
        found = self._accounts.directory.find_login(address)
        if found is None:
            raise SetupError(f'Nobody here is called "{address}".', "See: pillarbox account list")
        return found

    async def add_account(self, request: controls.AddAccount) -> Response:
        password, told = _given_or_made(request.password, request.address)
        quota = request.quota_mb * MB or None
        account = await self._accounts.add_account(request.address, password, quota_octets=quota, also=self._store.make_mailboxes)
        facts = {"address": account.address, **told}
        return Response(f"{account.address} lives here now." + _told(facts), facts)

    async def remove_account(self, request: controls.RemoveAccount) -> Response:
        from appliance.accounts.states import KEPT_DAYS

        if request.purge:
            account = await self._accounts.remove_account(request.address, also=self._store.remove_mailboxes)
            facts = {"address": account.address, "purged": True, **self._sessions_ended()}
            return Response(f"{account.address} and all their mail are gone." + _ended(facts), facts)
        account = await self._accounts.retire_account(request.address)
        text = f"{account.address} is removed. The mail is kept for {KEPT_DAYS} days; to take all back: pillarbox account restore "
        facts = {"address": account.address, "purged": False, "kept_days": KEPT_DAYS, **self._sessions_ended()}
        return Response(text + account.address + _ended(facts), facts)

    async def restore_account(self, request: controls.RestoreAccount) -> Response:
        account = await self._accounts.restore_account(request.address)
        return Response(f"{account.address} is back, with its mail and passwords.", {"address": account.address})

    async def set_account(self, request: controls.SetAccount) -> Response:
        if request.quota_mb == -1 and not request.named:
            raise SetupError("Nothing was asked for.", "Give --quota-mb N or --name TEXT.")
        quota = UNCHANGED if request.quota_mb == -1 else request.quota_mb * MB or None
        account = await self._accounts.set_account(request.address, quota_octets=quota, name=request.name if request.named else None)
        used, limit = self._store.quota(account.id)
        called = f" ({account.name})" if account.name else ""
        text = f"{account.address}{called}: " + (f"{limit / MB:,.0f} MB of space." if limit else "no limit.")
        if limit and used > limit:
            text += f" The mail there has {used / MB:,.1f} MB: all of it stays, and nothing more arrives until there is room."
        return Response(text, {"address": account.address, "name": account.name, "quota_octets": limit})

    async def rename_account(self, request: controls.RenameAccount) -> Response:
        before = self.account(request.address).address
        account = await self._accounts.rename_account(before, request.new)
        if before == account.address:
            raise SetupError(f"{before} is the address already.", "Name another one.")
        if before.casefold() == account.address.casefold():
            return Response(f"{before} is written {account.address} now.", {"address": account.address, "former": before})
        text = (
            f"{before} is {account.address} now. The old address stays as an alias: mail to it arrives, and programs may sign in with it."
        )
        return Response(text, {"address": account.address, "former": before})

    async def disable_account(self, request: controls.DisableAccount) -> Response:
        account = await self._accounts.set_disabled(request.address, True)
        text = f"Nobody signs in as {account.address} any more; messages go on arriving. To end this: pillarbox account enable "
        facts = {"address": account.address, "disabled": True, **self._sessions_ended()}
        return Response(text + account.address + _ended(facts), facts)

    async def enable_account(self, request: controls.EnableAccount) -> Response:
        account = await self._accounts.set_disabled(request.address, False)
        return Response(f"{account.address} may sign in again.", {"address": account.address, "disabled": False})

    async def list_accounts(self, request: controls.ListAccounts) -> Response:
        rows, lines = [], []
        accounts = self._accounts.directory.accounts()
        width = max((len(account.address) for account in accounts), default=0)
        for account in accounts:
            used, limit = self._store.quota(account.id)
            facts = {
                "octets": used,
                "quota_octets": limit,
                "added_at": account.added_at,
                "name": account.name,
                "disabled": account.disabled,
            }
            rows.append({"address": account.address, **facts})
            space = f"{used / MB:,.1f} MB" + (f" of {limit / MB:,.0f} MB" if limit else "")
            notes = [*filter(None, (account.name, "disabled: nobody can sign in" if account.disabled else ""))]
            lines.append("  ".join((f"{account.address:<{width}}", space, *notes)))
        if not lines:
            lines.append("Nobody lives here yet. Add the first person with: pillarbox account add NAME@DOMAIN")
        removed = [{"address": one.address, "removed_at": one.removed_at} for one in self._accounts.directory.removed()]
        lines += [f"{row['address']}  removed; to take it back: pillarbox account restore {row['address']}" for row in removed]
        return Response("\n".join(lines), {"accounts": rows, "removed": removed})

    async def set_password(self, request: controls.SetPassword) -> Response:
        password, told = _given_or_made(request.password, request.address)
        account = await self._accounts.set_password(request.address, password)
        facts = {"address": account.address, **told, **self._sessions_ended()}
        return Response(f"{account.address} has a new password." + _ended(facts) + _told(facts), facts)

    async def add_app_password(self, request: controls.AddAppPassword) -> Response:
        account = self.account(request.address)
        password = await self._accounts.add_app_password(account.address, request.label)
        facts = {"address": account.address, "label": request.label, "password": password}
        return Response(f'{account.address} has a password for "{request.label}".' + _told(facts), facts)

    async def remove_app_password(self, request: controls.RemoveAppPassword) -> Response:
        await self._accounts.remove_app_password(request.address, request.label)
        facts = {"label": request.label, **self._sessions_ended()}
        return Response(f'The password for "{request.label}" is gone.' + _ended(facts), facts)

    async def list_app_passwords(self, request: controls.ListAppPasswords) -> Response:
        passwords = self._accounts.app_passwords(request.address)
        rows = [
            {
                "label": row.label, "set_at": row.set_at, "used_at": row.used_at, "used_from": row.used_from,
                "used_protocol": row.used_protocol,
            } for row in passwords
        ]  # fmt: skip
        width = max((len(row.label) for row in passwords), default=0)
        lines = [f"{row.label:<{width}}  {last_use(row.used_at, row.used_from, row.used_protocol)}" for row in passwords]
        return Response("\n".join(lines) or "No app passwords.", {"app_passwords": rows})

    def _sessions_ended(self) -> dict[str, int]:
        """Call it right after a change of accounts or passwords: who is signed in with what is gone is signed out now."""
        return {"sessions_ended": self._end_sessions() if self._end_sessions is not None else 0}

    # --- aliases and domains ---------------------------------------------------------------------

    async def add_alias(self, request: controls.AddAlias) -> Response:
        await self._accounts.add_alias(request.address, request.target)
        return Response(f"Messages to {request.address} go to {request.target}.", {"address": request.address, "target": request.target})

    async def remove_alias(self, request: controls.RemoveAlias) -> Response:
        left = await self._accounts.remove_alias(request.address, request.target or None)
        text = f"Messages to {request.address} go to {', '.join(left)} only." if left else f"The alias {request.address} is gone."
        return Response(text, {"address": request.address, "targets": list(left)})

    async def list_aliases(self, request: controls.ListAliases) -> Response:
        rows = [{"address": alias, "targets": list(targets)} for alias, targets in self._accounts.directory.aliases()]
        return Response("\n".join(f"{row['address']} -> {', '.join(row['targets'])}" for row in rows) or "No aliases.", {"aliases": rows})

    async def add_domain(self, request: controls.AddDomain) -> Response:
        name = await self._accounts.add_domain(request.name)
        self._certificates.look_again()
        return Response(f"The server takes messages for {name} now." + self._names_left_out(), {"name": name})

    async def remove_domain(self, request: controls.RemoveDomain) -> Response:
        await self._accounts.remove_domain(request.name)
        self._certificates.look_again()
        return Response(f"The server takes no more messages for {request.name}.", {"name": request.name})

    async def list_domains(self, request: controls.ListDomains) -> Response:
        directory = self._accounts.directory
        rows = [{"name": name, "catch_all": directory.catch_all(name)} for name in directory.domains()]
        lines = [row["name"] + (f" (unknown names go to {row['catch_all']})" if row["catch_all"] else "") for row in rows]
        return Response("\n".join(lines) or "No domain yet: the first person brings theirs.", {"domains": rows})

    async def set_catch_all(self, request: controls.SetCatchAll) -> Response:
        await self._accounts.set_catch_all(request.name, request.address or None)
        what = f"go to {request.address}" if request.address else "are refused"
        return Response(f"Messages to unknown names at {request.name} {what}.", {"name": request.name, "catch_all": request.address})

    # --- mailboxes -------------------------------------------------------------------------------

    async def list_mailboxes(self, request: controls.ListMailboxes) -> Response:
        rows = [
            {"name": box.name, "messages": box.messages, "unseen": box.unseen, "octets": box.octets}
            for box in await self._store.list(self.account(request.address).id)
        ]
        width = max(len(str(row["name"])) for row in rows)
        lines = [f"{row['name']:<{width}}  {row['messages']} message{'s' * (row['messages'] != 1)}, {row['unseen']} unread" for row in rows]
        return Response("\n".join(lines), {"mailboxes": rows})

    @asynccontextmanager
    async def import_messages(self, request: controls.Import) -> AsyncIterator["ImportSession"]:
        """Messages into a person's mailboxes, each counted in the commit that stores it."""
        from appliance.control.import_result import import_stopped
        from appliance.store.transfer import TOGETHER, ImportSession

        account: AccountId = self.account(request.address).id
        session = await ImportSession.begin(self._database, self._store, account, request.source, request.mailbox, together=TOGETHER)
        try:
            yield session
            await session.finish()
        except StoreError as refusal:
            raise import_stopped(refusal, session.stored, request.address) from refusal
        finally:
            await session.aclose()

    def export_messages(self, request: controls.Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
        """A person's messages, mailbox by mailbox."""
        from appliance.store.transfer import export

        return export(self._store, self.account(request.address).id, request.mailbox)

    # --- the queue -------------------------------------------------------------------------------

    async def list_queue(self, request: controls.ListQueue) -> Response:
        from .queue_text import listed

        return listed(await self._outbound.queue.listed(), self._outbound.due_at)

    async def show_message(self, request: controls.ShowMessage) -> Response:
        from .queue_text import shown

        return shown(await self._outbound.queue.find(request.word), self._outbound.due_at)

    async def retry_message(self, request: controls.RetryMessage) -> Response:
        return self._did("is tried now", await self._outbound.queue.retry(request.word))

    async def hold_message(self, request: controls.HoldMessage) -> Response:
        return self._did("is held; to let it go on: pillarbox queue release", await self._outbound.queue.hold(request.word))

    async def release_message(self, request: controls.ReleaseMessage) -> Response:
        return self._did("goes on", await self._outbound.queue.release(request.word))

    async def reroute_message(self, request: controls.RerouteMessage) -> Response:
        destination_of = self._outbound.destination_by(request.route)
        return self._did(f"goes {self._outbound.in_words(request.route)}", await self._outbound.queue.reroute(request.word, destination_of))

    async def cancel_message(self, request: controls.CancelMessage) -> Response:
        return self._did("is called back", await self._outbound.queue.cancel(request.word))

    def _did(self, what: str, items: "list[QueueEntry]") -> Response:
        from .queue_text import facts_of

        message = items[0].message
        return Response(f"The message {message} {what}.", {"messages": [facts_of(item, self._outbound.due_at(item)) for item in items]})

    async def flush_queue(self, request: controls.FlushQueue) -> Response:
        rows = await self._outbound.queue.flush()
        return Response(f"{_count(rows, 'destination is', 'destinations are')} tried now.", {"rows": rows})

    async def track_message(self, request: controls.TrackMessage) -> Response:
        from .queue_text import refused, told

        if not request.word or "@" in request.word:
            if self._board is None:
                raise NotRunningError("No server is running, so none has refused a message.", "Start it with: pillarbox serve")
            snapshot = self._board.snapshot()
            return refused(snapshot.refusals, request.word, int(snapshot.at - snapshot.running_s))
        return told(await self._outbound.queue.timeline(request.word))

    async def domain_records(self, request: controls.DomainRecords) -> Response:
        from appliance.dns_setup.records import records, zone_text

        facts = await self._outbound.about(request.name)
        found = records(facts)
        rows = [{"name": one.name, "kind": one.kind, "value": one.value, "why": one.why} for one in found]
        text = f"; for {facts.domain}, to be published where its name servers are managed\n{zone_text(found)}"
        return Response(text, {"domain": facts.domain, "records": rows})

    async def domain_check(self, request: controls.DomainCheck) -> Response:
        from appliance.dns_setup.check import check, findings_text

        facts = await self._outbound.about(request.name)
        found = await check(facts, self._outbound.resolver())
        rows = [
            {"name": one.record.name, "kind": one.record.kind, "state": one.state, "found": one.found, "advice": one.advice}
            for one in found
        ]
        return Response(findings_text(found), {"domain": facts.domain, "findings": rows})

    # --- the box ---------------------------------------------------------------------------------

    async def read_log(self, request: controls.ReadLog) -> Response:
        lines = self._journal.lines(request.since)
        return Response("\n".join(lines), {"lines": lines, "count": self._journal.count})

    async def set_admin_password(self, request: controls.SetAdminPassword) -> Response:
        password, facts = _given_or_made(request.password)
        await self._admin.set(password)
        return Response("The serial console asks for this admin password now." + _told(facts), facts)

    def _close(self, ending: Ending) -> None:
        if self._stop is None:
            raise SetupError("No server is running.", "Start it with: pillarbox serve")
        self._stop(ending)

    async def shut_down(self, request: controls.ShutDown) -> Response:
        self._close(Ending.AT_THE_BOX)
        return Response("The server is closing. Wait until the LEDs say that the plug may be pulled.")

    async def restart(self, request: controls.Restart) -> Response:
        self._close(Ending.AGAIN)
        return Response("The server is closing and begins again in a moment.")

    async def check_network(self, request: controls.CheckNetwork) -> Response:
        from .port_check import at, check, findings_text

        if self._board is None:
            raise SetupError("No server is running.", "Start it with: pillarbox serve")
        found = await check([*map(at, self._board.snapshot().listeners), *self._outbound.looks()])
        return Response(findings_text(found), {"findings": [asdict(one) for one in found]})

    # --- certificate -----------------------------------------------------------------------------

    async def show_certificate(self, request: controls.ShowCertificate) -> Response:
        from appliance.certificates.certificates import describe, show

        if self._tls is None:
            text = show(self._certificates.server.parent) + "The server is not running; a certificate that its settings name is not shown."
            return Response(text, {"text": text})
        served = self._tls.facts
        facts: dict[str, Any] = {"names": list(served.names), "not_after_at": served.not_after_at, "source": self._tls.source}
        facts |= {"fingerprint": served.fingerprint, "file": str(self._tls.file)}
        if self._tls.source == "own":
            lines = describe("certificate in use, named in the settings", served)
            text = "\n".join([*lines, f"  file         {self._tls.file}"])
        else:
            text = show(self._certificates.server.parent).rstrip("\n") + self._names_left_out()
        return Response(text, facts | {"text": text})

    def _names_left_out(self) -> str:
        """What people should know of names that the server certificate cannot carry."""
        names = self._certificates.left_out()
        if not names:
            return ""
        return (
            f"\nThe server certificate does not name {', '.join(names)}: the authority that devices trust was made without. "
            "Mail programs go on with the server names they know. For a new authority, which every device must then trust: "
            "pillarbox certificate new-authority"
        )

    async def export_certificate(self, request: controls.ExportCertificate) -> Response:
        from appliance.certificates.certificates import export

        text = export(self._certificates.server.parent)
        self._certificates.exported()
        return Response(text, {"pem": text})

    async def renew_certificate(self, request: controls.RenewCertificate) -> Response:
        if self._tls is not None and self._tls.source == "own":
            raise SetupError(
                f"The server uses the certificate {self._tls.file}, which it has not made.",
                "Renew it where it came from and put it in its place; it is taken up by itself.",
            )
        await self._certificates.ensure(force=True)
        return await self._reloaded("")

    async def new_authority(self, request: controls.NewAuthority) -> Response:
        await self._certificates.ensure(new_authority=True)
        return await self._reloaded(
            "The authority is new. Until a device trusts it, its mail programs warn or refuse. Write it with "
            "`pillarbox certificate export --out FILE` and install it on each device.\n"
        )

    async def _reloaded(self, before: str) -> Response:
        if self._tls is not None:
            self._tls.reload()
        shown = await self.show_certificate(controls.ShowCertificate())
        return Response(before + shown.text, shown.facts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _ended(facts: dict[str, Any]) -> str:
    ended = facts["sessions_ended"]
    return f" {_count(ended, 'open session was', 'open sessions were')} signed out." if ended else ""


def last_use(used_at: int | None, used_from: str, used_protocol: str) -> str:
    """When, from where and how a password was last used, for people."""
    from appliance.status.text import stamp

    if used_at is None:
        return "never used"
    where = f" from {used_from}" if used_from else ""
    how = f" by {PROTOCOL_NAMES.get(used_protocol, used_protocol.upper())}" if used_protocol else ""
    return f"last used {stamp(used_at)}{where}{how}"


def _given_or_made(given: str, name: str = "") -> tuple[str, dict[str, Any]]:
    """The password to set, and the facts that tell it when it was made here. `name`: whose it is. Raises SetupError for a weak one."""
    from appliance.accounts.passwords import check_strength, generate

    if given:
        check_strength(given, name)
        return given, {}
    made = generate()
    return made, {"password": made}


def _told(facts: dict[str, Any]) -> str:
    return f"\nPassword: {facts['password']}   (shown this once; keep it)" if "password" in facts else ""


_TABLE: tuple[tuple[type, Callable[[AdminApi, Any], Awaitable[Response]]], ...] = (
    (controls.Status, AdminApi.status),
    (controls.AddAccount, AdminApi.add_account),
    (controls.RemoveAccount, AdminApi.remove_account),
    (controls.RestoreAccount, AdminApi.restore_account),
    (controls.SetAccount, AdminApi.set_account),
    (controls.RenameAccount, AdminApi.rename_account),
    (controls.DisableAccount, AdminApi.disable_account),
    (controls.EnableAccount, AdminApi.enable_account),
    (controls.ListAccounts, AdminApi.list_accounts),
    (controls.SetPassword, AdminApi.set_password),
    (controls.AddAppPassword, AdminApi.add_app_password),
    (controls.RemoveAppPassword, AdminApi.remove_app_password),
    (controls.ListAppPasswords, AdminApi.list_app_passwords),
    (controls.AddAlias, AdminApi.add_alias),
    (controls.RemoveAlias, AdminApi.remove_alias),
    (controls.ListAliases, AdminApi.list_aliases),
    (controls.AddDomain, AdminApi.add_domain),
    (controls.RemoveDomain, AdminApi.remove_domain),
    (controls.ListDomains, AdminApi.list_domains),
    (controls.SetCatchAll, AdminApi.set_catch_all),
    (controls.ListMailboxes, AdminApi.list_mailboxes),
    (controls.ListQueue, AdminApi.list_queue),
    (controls.ShowMessage, AdminApi.show_message),
    (controls.RetryMessage, AdminApi.retry_message),
    (controls.HoldMessage, AdminApi.hold_message),
    (controls.ReleaseMessage, AdminApi.release_message),
    (controls.RerouteMessage, AdminApi.reroute_message),
    (controls.CancelMessage, AdminApi.cancel_message),
    (controls.FlushQueue, AdminApi.flush_queue),
    (controls.TrackMessage, AdminApi.track_message),
    (controls.DomainRecords, AdminApi.domain_records),
    (controls.DomainCheck, AdminApi.domain_check),
    (controls.ShowCertificate, AdminApi.show_certificate),
    (controls.ExportCertificate, AdminApi.export_certificate),
    (controls.RenewCertificate, AdminApi.renew_certificate),
    (controls.NewAuthority, AdminApi.new_authority),
    (controls.ReadLog, AdminApi.read_log),
    (controls.SetAdminPassword, AdminApi.set_admin_password),
    (controls.ShutDown, AdminApi.shut_down),
    (controls.Restart, AdminApi.restart),
    (controls.CheckNetwork, AdminApi.check_network),
)
