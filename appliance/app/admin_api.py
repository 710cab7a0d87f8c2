"""The one implementation of the Controls port: what the house's people may ask of it, done.

The running house and a house opened for one command answer alike, because both are this. Each request is a method of
the table at the end; a refusal is SetupError, and then nothing has changed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from appliance.accounts.accounts import UNCHANGED
from appliance.control import requests as controls
from appliance.control.requests import Answer
from appliance.mail.errors import NotRunningError, SetupError, StoreError
from appliance.mail.limits import MB
from appliance.runtime.supervisor import Ending

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.accounts.accounts import Accounts
    from appliance.accounts.admin_password import Admin
    from appliance.accounts.directory import Person
    from appliance.certificates.certificates import OwnCertificates
    from appliance.database.database import Database
    from appliance.mail.ids import PersonId
    from appliance.network.tls import ServerTls
    from appliance.queue.entry import Item
    from appliance.status.board import Board
    from appliance.status.journal import Journal
    from appliance.store.mailbox import Store
    from appliance.store.transfer import ImportSession

    from .outbound import Outgoing



PROTOCOL_NAMES = {
    "smtp": "SMTP", "submission": "SMTP", "submissions": "SMTP", "imap": "IMAP", "imaps": "IMAP", "pop3": "POP3", "pop3s": "POP3",
}  # fmt: skip


class Hands:
    """Does what is asked. `board` None: this house is open for one command only, nobody is served."""

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
        outgoing: "Outgoing",
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
        self._outgoing = outgoing
        self._admin = admin
        self._journal = journal
        self._stop = stop
        self._end_sessions = end_sessions

    async def ask(self, request: controls.Request) -> Answer:
        for kind, answer in _TABLE:
            if isinstance(request, kind):
                return await answer(self, request)
        raise SetupError("The house does not know this command.", "See: pillarbox --help")

    # --- how it is -------------------------------------------------------------------------------

    async def status(self, request: controls.Status) -> Answer:
        from appliance.status.text import encode_snapshot, readable

        if self._board is None:
            people = self._accounts.directory.people()
            count = _count(len(people), "person", "people")
            text = f"Pillarbox is not running on {self._data}. It has {count}. Start it with: pillarbox serve"
            damaged = await self._is_damaged()
            if damaged:
                text = f"CRITICAL: The database is damaged. What is, and what to do: pillarbox check\n{text}"
            facts = {"people": len(people), "domains": list(self._accounts.directory.domains())}
            return Answer(text, {"running": False, **facts, **({"damaged": True} if damaged else {})})
        snapshot = self._board.snapshot()
        return Answer(readable(snapshot).rstrip("\n"), {"running": True, **encode_snapshot(snapshot)})

    async def _is_damaged(self) -> bool:
        from appliance.database.check import looks_damaged

        try:
            return await self._database.read(looks_damaged)
        except StoreError:
            return True

    # --- people ----------------------------------------------------------------------------------

    def person(self, address: str) -> "Person":
        found = self._accounts.directory.find_login(address)
        if found is None:
            raise SetupError(f'Nobody here is called "{address}".', "See: pillarbox person list")
        return found

    async def add_person(self, request: controls.AddPerson) -> Answer:
        password, told = _given_or_made(request.password, request.address)
        quota = request.quota_mb * MB or None
        person = await self._accounts.add_person(request.address, password, quota_octets=quota, also=self._store.make_mailboxes)
        facts = {"address": person.address, **told}
        return Answer(f"{person.address} lives here now." + _told(facts), facts)

    async def remove_person(self, request: controls.RemovePerson) -> Answer:
        from appliance.accounts.states import KEPT_DAYS

        if request.purge:
            person = await self._accounts.remove_person(request.address, also=self._store.remove_mailboxes)
            facts = {"address": person.address, "purged": True, **self._sessions_ended()}
            return Answer(f"{person.address} and all their mail are gone." + _ended(facts), facts)
        person = await self._accounts.retire_person(request.address)
        text = f"{person.address} is removed. The mail is kept for {KEPT_DAYS} days; to take all back: pillarbox person restore "
        facts = {"address": person.address, "purged": False, "kept_days": KEPT_DAYS, **self._sessions_ended()}
        return Answer(text + person.address + _ended(facts), facts)

    async def restore_person(self, request: controls.RestorePerson) -> Answer:
        person = await self._accounts.restore_person(request.address)
        return Answer(f"{person.address} is back, with its mail and passwords.", {"address": person.address})

    async def set_person(self, request: controls.SetPerson) -> Answer:
        if request.quota_mb == -1 and not request.named:
            raise SetupError("Nothing was asked for.", "Give --quota-mb N or --name TEXT.")
        quota = UNCHANGED if request.quota_mb == -1 else request.quota_mb * MB or None
        person = await self._accounts.set_person(request.address, quota_octets=quota, name=request.name if request.named else None)
        used, limit = self._store.quota(person.id)
        called = f" ({person.name})" if person.name else ""
        text = f"{person.address}{called}: " + (f"{limit / MB:,.0f} MB of space." if limit else "no limit.")
        if limit and used > limit:
            text += f" The mail there has {used / MB:,.1f} MB: all of it stays, and nothing more arrives until there is room."
        return Answer(text, {"address": person.address, "name": person.name, "quota_octets": limit})

    async def rename_person(self, request: controls.RenamePerson) -> Answer:
        before = self.person(request.address).address
        person = await self._accounts.rename_person(before, request.new)
        if before == person.address:
            raise SetupError(f"{before} is the address already.", "Name another one.")
        if before.casefold() == person.address.casefold():
            return Answer(f"{before} is written {person.address} now.", {"address": person.address, "former": before})
        text = f"{before} is {person.address} now. The old address stays as an alias: mail to it arrives, and programs may sign in with it."
        return Answer(text, {"address": person.address, "former": before})

    async def disable_person(self, request: controls.DisablePerson) -> Answer:
        person = await self._accounts.set_disabled(request.address, True)
        text = f"Nobody signs in as {person.address} any more; messages go on arriving. To end this: pillarbox person enable "
        facts = {"address": person.address, "disabled": True, **self._sessions_ended()}
        return Answer(text + person.address + _ended(facts), facts)

    async def enable_person(self, request: controls.EnablePerson) -> Answer:
        person = await self._accounts.set_disabled(request.address, False)
        return Answer(f"{person.address} may sign in again.", {"address": person.address, "disabled": False})

    async def list_people(self, request: controls.ListPeople) -> Answer:
        rows, lines = [], []
        people = self._accounts.directory.people()
        width = max((len(person.address) for person in people), default=0)
        for person in people:
            used, limit = self._store.quota(person.id)
            facts = {"octets": used, "quota_octets": limit, "added_at": person.added_at, "name": person.name, "disabled": person.disabled}
            rows.append({"address": person.address, **facts})
            space = f"{used / MB:,.1f} MB" + (f" of {limit / MB:,.0f} MB" if limit else "")
            notes = [*filter(None, (person.name, "disabled: nobody can sign in" if person.disabled else ""))]
            lines.append("  ".join((f"{person.address:<{width}}", space, *notes)))
        if not lines:
            lines.append("Nobody lives here yet. Add the first person with: pillarbox person add NAME@DOMAIN")
        removed = [{"address": one.address, "removed_at": one.removed_at} for one in self._accounts.directory.removed()]
        lines += [f"{row['address']}  removed; to take it back: pillarbox person restore {row['address']}" for row in removed]
        return Answer("\n".join(lines), {"people": rows, "removed": removed})

    async def set_password(self, request: controls.SetPassword) -> Answer:
        password, told = _given_or_made(request.password, request.address)
        person = await self._accounts.set_password(request.address, password)
        facts = {"address": person.address, **told, **self._sessions_ended()}
        return Answer(f"{person.address} has a new password." + _ended(facts) + _told(facts), facts)

    async def add_app_password(self, request: controls.AddAppPassword) -> Answer:
        person = self.person(request.address)
        password = await self._accounts.add_app_password(person.address, request.label)
        facts = {"address": person.address, "label": request.label, "password": password}
        return Answer(f'{person.address} has a password for "{request.label}".' + _told(facts), facts)

    async def remove_app_password(self, request: controls.RemoveAppPassword) -> Answer:
        await self._accounts.remove_app_password(request.address, request.label)
        facts = {"label": request.label, **self._sessions_ended()}
        return Answer(f'The password for "{request.label}" is gone.' + _ended(facts), facts)

    async def list_app_passwords(self, request: controls.ListAppPasswords) -> Answer:
        passwords = self._accounts.app_passwords(request.address)
        rows = [
            {
                "label": row.label, "set_at": row.set_at, "used_at": row.used_at, "used_from": row.used_from,
                "used_protocol": row.used_protocol,
            } for row in passwords
        ]  # fmt: skip
        width = max((len(row.label) for row in passwords), default=0)
        lines = [f"{row.label:<{width}}  {last_use(row.used_at, row.used_from, row.used_protocol)}" for row in passwords]
        return Answer("\n".join(lines) or "No app passwords.", {"app_passwords": rows})

    def _sessions_ended(self) -> dict[str, int]:
        """Call it right after a change of accounts or passwords: who is signed in with what is gone is signed out now."""
        return {"sessions_ended": self._end_sessions() if self._end_sessions is not None else 0}

    # --- aliases and domains ---------------------------------------------------------------------

    async def add_alias(self, request: controls.AddAlias) -> Answer:
        await self._accounts.add_alias(request.address, request.target)
        return Answer(f"Letters to {request.address} go to {request.target}.", {"address": request.address, "target": request.target})

    async def remove_alias(self, request: controls.RemoveAlias) -> Answer:
        left = await self._accounts.remove_alias(request.address, request.target or None)
        text = f"Messages to {request.address} go to {', '.join(left)} only." if left else f"The alias {request.address} is gone."
        return Answer(text, {"address": request.address, "targets": list(left)})

    async def list_aliases(self, request: controls.ListAliases) -> Answer:
        rows = [{"address": alias, "targets": list(targets)} for alias, targets in self._accounts.directory.aliases()]
        return Answer("\n".join(f"{row['address']} -> {', '.join(row['targets'])}" for row in rows) or "No aliases.", {"aliases": rows})

    async def add_domain(self, request: controls.AddDomain) -> Answer:
        name = await self._accounts.add_domain(request.name)
        self._certificates.look_again()
        return Answer(f"The house takes letters for {name} now." + self._names_left_out(), {"name": name})

    async def remove_domain(self, request: controls.RemoveDomain) -> Answer:
        await self._accounts.remove_domain(request.name)
        self._certificates.look_again()
        return Answer(f"The house takes no more letters for {request.name}.", {"name": request.name})

    async def list_domains(self, request: controls.ListDomains) -> Answer:
        directory = self._accounts.directory
        rows = [{"name": name, "catch_all": directory.catch_all(name)} for name in directory.domains()]
        lines = [row["name"] + (f" (unknown names go to {row['catch_all']})" if row["catch_all"] else "") for row in rows]
        return Answer("\n".join(lines) or "No domain yet: the first person brings theirs.", {"domains": rows})

    async def set_catch_all(self, request: controls.SetCatchAll) -> Answer:
        await self._accounts.set_catch_all(request.name, request.address or None)
        what = f"go to {request.address}" if request.address else "are refused"
        return Answer(f"Letters to unknown names at {request.name} {what}.", {"name": request.name, "catch_all": request.address})

    # --- mailboxes -------------------------------------------------------------------------------

    async def list_mailboxes(self, request: controls.ListMailboxes) -> Answer:
        rows = [
            {"name": box.name, "messages": box.messages, "unseen": box.unseen, "octets": box.octets}
            for box in await self._store.list(self.person(request.address).id)
        ]
        width = max(len(str(row["name"])) for row in rows)
        lines = [f"{row['name']:<{width}}  {row['messages']} letter{'s' * (row['messages'] != 1)}, {row['unseen']} unread" for row in rows]
        return Answer("\n".join(lines), {"mailboxes": rows})

    @asynccontextmanager
    async def take_in(self, request: controls.Import) -> AsyncIterator["ImportSession"]:
        """Letters into a person's mailboxes, each counted in the commit that stores it."""
        from appliance.control.local_socket import import_stopped
        from appliance.store.transfer import TOGETHER, ImportSession

        person: PersonId = self.person(request.address).id
        session = await ImportSession.begin(
            self._database, self._store, person, request.source, request.mailbox, together=TOGETHER
        )
        try:
            yield session
            await session.finish()
        except StoreError as refusal:
            raise import_stopped(refusal, session.stored, request.address) from refusal
        finally:
            await session.aclose()

    def give_out(self, request: controls.Export) -> AsyncIterator[tuple[controls.Letter, AsyncIterator[bytes]]]:
        """A person's letters, mailbox by mailbox."""
        from appliance.store.transfer import export

        return export(self._store, self.person(request.address).id, request.mailbox)

    # --- the queue -------------------------------------------------------------------------------

    async def list_queue(self, request: controls.ListQueue) -> Answer:
        from .queue_text import listed

        return listed(await self._outgoing.queue.listed(), self._outgoing.due_at)

    async def show_letter(self, request: controls.ShowLetter) -> Answer:
        from .queue_text import shown

        return shown(await self._outgoing.queue.find(request.word), self._outgoing.due_at)

    async def retry_letter(self, request: controls.RetryLetter) -> Answer:
        return self._did("is tried now", await self._outgoing.queue.retry(request.word))

    async def hold_letter(self, request: controls.HoldLetter) -> Answer:
        return self._did("is held; to let it go on: pillarbox queue release", await self._outgoing.queue.hold(request.word))

    async def release_letter(self, request: controls.ReleaseLetter) -> Answer:
        return self._did("goes on", await self._outgoing.queue.release(request.word))

    async def reroute_letter(self, request: controls.RerouteLetter) -> Answer:
        lane_of = self._outgoing.lane_by(request.route)
        return self._did(f"goes {self._outgoing.in_words(request.route)}", await self._outgoing.queue.reroute(request.word, lane_of))

    async def cancel_letter(self, request: controls.CancelLetter) -> Answer:
        return self._did("is called back", await self._outgoing.queue.cancel(request.word))

    def _did(self, what: str, items: "list[Item]") -> Answer:
        from .queue_text import facts_of

        letter = items[0].letter
        return Answer(f"The letter {letter} {what}.", {"letters": [facts_of(item, self._outgoing.due_at(item)) for item in items]})

    async def flush_queue(self, request: controls.FlushQueue) -> Answer:
        rows = await self._outgoing.queue.flush()
        return Answer(f"{_count(rows, 'destination is', 'destinations are')} tried now.", {"rows": rows})

    async def track_letter(self, request: controls.TrackLetter) -> Answer:
        from .queue_text import refused, told

        if not request.word or "@" in request.word:
            if self._board is None:
                raise NotRunningError("No server is running, so none has refused a message.", "Start it with: pillarbox serve")
            snapshot = self._board.snapshot()
            return refused(snapshot.refusals, request.word, int(snapshot.at - snapshot.running_s))
        return told(await self._outgoing.queue.timeline(request.word))

    async def domain_records(self, request: controls.DomainRecords) -> Answer:
        from appliance.dns_setup.records import records, zone_text

        facts = await self._outgoing.about(request.name)
        found = records(facts)
        rows = [{"name": one.name, "kind": one.kind, "value": one.value, "why": one.why} for one in found]
        text = f"; for {facts.domain}, to be published where its name servers are managed\n{zone_text(found)}"
        return Answer(text, {"domain": facts.domain, "records": rows})

    async def domain_check(self, request: controls.DomainCheck) -> Answer:
        from appliance.dns_setup.check import check, findings_text

        facts = await self._outgoing.about(request.name)
        found = await check(facts, self._outgoing.resolver())
        rows = [
            {"name": one.record.name, "kind": one.record.kind, "state": one.state, "found": one.found, "advice": one.advice}
            for one in found
        ]
        return Answer(findings_text(found), {"domain": facts.domain, "findings": rows})

    # --- the box ---------------------------------------------------------------------------------

    async def read_log(self, request: controls.ReadLog) -> Answer:
        lines = self._journal.lines(request.since)
        return Answer("\n".join(lines), {"lines": lines, "said": self._journal.said})

    async def set_admin_password(self, request: controls.SetAdminPassword) -> Answer:
        password, facts = _given_or_made(request.password)
        await self._admin.set(password)
        return Answer("The serial console asks for this admin password now." + _told(facts), facts)

    def _close(self, ending: Ending) -> None:
        if self._stop is None:
            raise SetupError("No house is running.", "Start it with: pillarbox serve")
        self._stop(ending)

    async def shut_down(self, request: controls.ShutDown) -> Answer:
        self._close(Ending.AT_THE_BOX)
        return Answer("The house is closing. Wait until the lamps say that the plug may be pulled.")

    async def restart(self, request: controls.Restart) -> Answer:
        self._close(Ending.AGAIN)
        return Answer("The house is closing and begins again in a moment.")

    async def check_network(self, request: controls.CheckNetwork) -> Answer:
        from .port_check import at, check, findings_text

        if self._board is None:
            raise SetupError("No house is running.", "Start it with: pillarbox serve")
        found = await check([*map(at, self._board.snapshot().listeners), *self._outgoing.looks()])
        return Answer(findings_text(found), {"findings": [asdict(one) for one in found]})

    # --- certificate -----------------------------------------------------------------------------

    async def show_certificate(self, request: controls.ShowCertificate) -> Answer:
        from appliance.certificates.certificates import describe, show

        if self._tls is None:
            text = show(self._certificates.server.parent) + "The server is not running; a certificate that its settings name is not shown."
            return Answer(text, {"text": text})
        served = self._tls.facts
        facts: dict[str, Any] = {"names": list(served.names), "not_after_at": served.not_after_at, "source": self._tls.source}
        facts |= {"fingerprint": served.fingerprint, "file": str(self._tls.file)}
        if self._tls.source == "own":
            lines = describe("certificate in use, named in the settings", served)
            text = "\n".join([*lines, f"  file         {self._tls.file}"])
        else:
            text = show(self._certificates.server.parent).rstrip("\n") + self._names_left_out()
        return Answer(text, facts | {"text": text})

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

    async def export_certificate(self, request: controls.ExportCertificate) -> Answer:
        from appliance.certificates.certificates import export

        text = export(self._certificates.server.parent)
        self._certificates.exported()
        return Answer(text, {"pem": text})

    async def renew_certificate(self, request: controls.RenewCertificate) -> Answer:
        if self._tls is not None and self._tls.source == "own":
            raise SetupError(
                f"The server uses the certificate {self._tls.file}, which it has not made.",
                "Renew it where it came from and put it in its place; it is taken up by itself.",
            )
        await self._certificates.ensure(force=True)
        return await self._reloaded("")

    async def new_authority(self, request: controls.NewAuthority) -> Answer:
        await self._certificates.ensure(new_authority=True)
        return await self._reloaded(
            "The authority is new. Until a device trusts it, its mail programs warn or refuse. Write it with "
            "`pillarbox certificate export --out FILE` and install it on each device.\n"
        )

    async def _reloaded(self, before: str) -> Answer:
        if self._tls is not None:
            self._tls.reload()
        shown = await self.show_certificate(controls.ShowCertificate())
        return Answer(before + shown.text, shown.facts)


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


_TABLE: tuple[tuple[type, Callable[[Hands, Any], Awaitable[Answer]]], ...] = (
    (controls.Status, Hands.status),
    (controls.AddPerson, Hands.add_person),
    (controls.RemovePerson, Hands.remove_person),
    (controls.RestorePerson, Hands.restore_person),
    (controls.SetPerson, Hands.set_person),
    (controls.RenamePerson, Hands.rename_person),
    (controls.DisablePerson, Hands.disable_person),
    (controls.EnablePerson, Hands.enable_person),
    (controls.ListPeople, Hands.list_people),
    (controls.SetPassword, Hands.set_password),
    (controls.AddAppPassword, Hands.add_app_password),
    (controls.RemoveAppPassword, Hands.remove_app_password),
    (controls.ListAppPasswords, Hands.list_app_passwords),
    (controls.AddAlias, Hands.add_alias),
    (controls.RemoveAlias, Hands.remove_alias),
    (controls.ListAliases, Hands.list_aliases),
    (controls.AddDomain, Hands.add_domain),
    (controls.RemoveDomain, Hands.remove_domain),
    (controls.ListDomains, Hands.list_domains),
    (controls.SetCatchAll, Hands.set_catch_all),
    (controls.ListMailboxes, Hands.list_mailboxes),
    (controls.ListQueue, Hands.list_queue),
    (controls.ShowLetter, Hands.show_letter),
    (controls.RetryLetter, Hands.retry_letter),
    (controls.HoldLetter, Hands.hold_letter),
    (controls.ReleaseLetter, Hands.release_letter),
    (controls.RerouteLetter, Hands.reroute_letter),
    (controls.CancelLetter, Hands.cancel_letter),
    (controls.FlushQueue, Hands.flush_queue),
    (controls.TrackLetter, Hands.track_letter),
    (controls.DomainRecords, Hands.domain_records),
    (controls.DomainCheck, Hands.domain_check),
    (controls.ShowCertificate, Hands.show_certificate),
    (controls.ExportCertificate, Hands.export_certificate),
    (controls.RenewCertificate, Hands.renew_certificate),
    (controls.NewAuthority, Hands.new_authority),
    (controls.ReadLog, Hands.read_log),
    (controls.SetAdminPassword, Hands.set_admin_password),
    (controls.ShutDown, Hands.shut_down),
    (controls.Restart, Hands.restart),
    (controls.CheckNetwork, Hands.check_network),
)
