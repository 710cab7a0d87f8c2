"""Admin requests about accounts, their passwords and mailboxes."""

from typing import TYPE_CHECKING, Any

from appliance.accounts.accounts import UNCHANGED
from appliance.accounts.states import KEPT_DAYS
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import NotRunningError, SetupError
from appliance.mail.limits import MB
from appliance.mail.protocols import service_name
from appliance.mail.sentence import Sentence, joined
from appliance.status.text import stamp

from .admin_request import Answers, Running, account_of, ended, given_or_generated, shown_once
from .components import Components
from .owner_messages import Tell, password_was_reset

if TYPE_CHECKING:
    from appliance.database.writer import Transaction
    from appliance.mail.ids import AccountId


class AccountRequests:
    """Answers what is asked about accounts; a refusal is SetupError, and then nothing has changed."""

    def __init__(self, components: Components, tell: Tell, running: Running | None = None) -> None:
        self._components = components
        self._accounts = components.accounts
        self._store = components.store
        self._tell = tell
        self._running = running

    def answers(self) -> Answers:
        return (
            (controls.AddAccount, self.add_account),
            (controls.SetUp, self.set_up),
            (controls.CheckSetupCode, self.check_setup_code),
            (controls.ShowSetupCode, self.show_setup_code),
            (controls.RemoveAccount, self.remove_account),
            (controls.RestoreAccount, self.restore_account),
            (controls.SetAccount, self.set_account),
            (controls.RenameAccount, self.rename_account),
            (controls.DisableAccount, self.disable_account),
            (controls.EnableAccount, self.enable_account),
            (controls.SetAdmin, self.set_admin),
            (controls.ListAccounts, self.list_accounts),
            (controls.SetPassword, self.set_password),
            (controls.AddAppPassword, self.add_app_password),
            (controls.RemoveAppPassword, self.remove_app_password),
            (controls.ListAppPasswords, self.list_app_passwords),
            (controls.ListMailboxes, self.list_mailboxes),
        )

    async def add_account(self, request: controls.AddAccount) -> Response:
        password, made = given_or_generated(request.password, request.address)
        quota = request.quota_mb * MB or None
        account = await self._accounts.add_account(request.address, password, quota_octets=quota, also=self._store.make_mailboxes)
        facts = {"address": account.address, **made}
        return Response(joined(Sentence("%(address)s was added.", address=account.address), shown_once(facts), by="\n"), facts)

    async def set_up(self, request: controls.SetUp) -> Response:
        """Checked first, which is throttled, and once more in the commit: of two with the right code one makes the account."""
        from appliance.accounts.setup_code import claim

        await self.check_setup_code(controls.CheckSetupCode(request.code, request.source))
        password, made = given_or_generated(request.password, request.address)

        def also(transaction: "Transaction", account: "AccountId") -> None:
            claim(transaction)
            self._store.make_mailboxes(transaction, account)

        account = await self._accounts.add_account(request.address, password, also=also)
        facts = {"address": account.address, **made}
        return Response(joined(Sentence("%(address)s was added.", address=account.address), shown_once(facts), by="\n"), facts)

    async def check_setup_code(self, request: controls.CheckSetupCode) -> Response:
        code = self._components.setup_code
        if code is None:
            raise SetupError("The server is set up: there is no setup code any more.", "Sign in with an account.")
        verdict = await code.verify(request.code, request.source.encode())
        if not verdict.accepted:
            raise SetupError(verdict.problem)
        return Response(Sentence("That is the setup code."))

    async def show_setup_code(self, request: controls.ShowSetupCode) -> Response:
        code = self._components.setup_code
        if self._running is None:
            raise NotRunningError("No server is running.", "Start it with: pillarbox serve")
        if code is None or not code.shown:
            raise SetupError("The server is set up: there is no setup code any more.", "See: pillarbox account list")
        text = Sentence("Setup code: %(code)s   (it makes the first account, in a browser or on the serial console)", code=code.shown)
        return Response(text, {"setup_code": code.shown})

    async def remove_account(self, request: controls.RemoveAccount) -> Response:
        if request.purge:
            account = await self._accounts.remove_account(request.address, also=self._store.remove_mailboxes)
            await self._components.transfers.forget(account.id)
            facts = {"address": account.address, "purged": True, **self._sessions_ended()}
            erased = Sentence("%(address)s and all its mail are erased.", address=account.address)
            return Response(joined(erased, ended(facts)), facts)
        account = await self._accounts.retire_account(request.address)
        text = Sentence(
            "%(address)s was removed. Its mail is kept for %(days)s days; to bring all of it back: pillarbox account restore %(address)s",
            address=account.address,
            days=KEPT_DAYS,
        )
        facts = {"address": account.address, "purged": False, "kept_days": KEPT_DAYS, **self._sessions_ended()}
        await self._store.announce_shared(account.id)
        return Response(joined(text, ended(facts)), facts)

    async def restore_account(self, request: controls.RestoreAccount) -> Response:
        account = await self._accounts.restore_account(request.address)
        await self._store.announce_shared(account.id)
        return Response(
            Sentence("%(address)s is back, with its mail and passwords.", address=account.address), {"address": account.address}
        )

    async def set_account(self, request: controls.SetAccount) -> Response:
        if request.quota_mb == -1 and not request.named:
            raise SetupError("Nothing was changed.", "Give --quota-mb N or --name TEXT.")
        quota = UNCHANGED if request.quota_mb == -1 else request.quota_mb * MB or None
        account = await self._accounts.set_account(request.address, quota_octets=quota, name=request.name if request.named else None)
        used, limit = self._store.quota(account.id)
        who = f"{account.address} ({account.name})" if account.name else account.address
        text: str = Sentence("%(who)s: no limit.", who=who)
        if limit:
            text = Sentence("%(who)s: %(space)s MB of space.", who=who, space=f"{limit / MB:,.0f}")
        if limit and used > limit:
            more = Sentence(
                "The mail there has %(used)s MB: all of it stays, and nothing more arrives until there is room.", used=f"{used / MB:,.1f}"
            )
            text = joined(text, more)
        return Response(text, {"address": account.address, "name": account.name, "quota_octets": limit})

    async def rename_account(self, request: controls.RenameAccount) -> Response:
        before = account_of(self._accounts, request.address).address
        account = await self._accounts.rename_account(before, request.new)
        if before == account.address:
            raise SetupError(Sentence("%(before)s is the address already.", before=before), "Name another one.")
        if before.casefold() == account.address.casefold():
            return Response(
                Sentence("%(before)s is written %(address)s now.", before=before, address=account.address),
                {"address": account.address, "former": before},
            )
        text = Sentence(
            "%(before)s is %(address)s now. The old address stays as an alias: mail to it arrives, and programs can sign in with it.",
            before=before,
            address=account.address,
        )
        return Response(text, {"address": account.address, "former": before})

    async def disable_account(self, request: controls.DisableAccount) -> Response:
        account = await self._accounts.set_disabled(request.address, True)
        text = Sentence(
            "Nobody can sign in as %(address)s now; messages still arrive. To undo this: pillarbox account enable %(address)s",
            address=account.address,
        )
        facts = {"address": account.address, "disabled": True, **self._sessions_ended()}
        return Response(joined(text, ended(facts)), facts)

    async def enable_account(self, request: controls.EnableAccount) -> Response:
        account = await self._accounts.set_disabled(request.address, False)
        return Response(
            Sentence("%(address)s can sign in again.", address=account.address), {"address": account.address, "disabled": False}
        )

    async def set_admin(self, request: controls.SetAdmin) -> Response:
        account = await self._accounts.set_admin(request.address, request.is_admin)
        text = Sentence("%(address)s is no administrator any more.", address=account.address)
        if account.is_admin:
            text = Sentence("%(address)s is an administrator now.", address=account.address)
        return Response(text, {"address": account.address, "admin": account.is_admin})

    async def list_accounts(self, request: controls.ListAccounts) -> Response:
        rows: list[dict[str, Any]] = []
        lines: list[str] = []
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
                "admin": account.is_admin,
                "second_factor": account.id in self._accounts.secrets.second_factors,
            }
            rows.append({"address": account.address, **facts})
            space: str = f"{used / MB:,.1f} MB"
            if limit:
                space = Sentence("%(used)s of %(limit)s", used=space, limit=f"{limit / MB:,.0f} MB")
            role = Sentence("administrator") if account.is_admin else ""
            state = Sentence("disabled: nobody can sign in") if account.disabled else ""
            lines.append(joined(f"{account.address:<{width}}", space, account.name, role, state, by="  "))
        if not lines:
            lines.append(Sentence("There are no accounts yet. Add the first with: pillarbox account add NAME@DOMAIN"))
        removed = [{"address": one.address, "removed_at": one.removed_at} for one in self._accounts.directory.removed()]
        back = [
            Sentence("%(address)s  removed; to bring it back: pillarbox account restore %(address)s", address=row["address"])
            for row in removed
        ]
        return Response(joined(*lines, *back, by="\n"), {"accounts": rows, "removed": removed})

    async def set_password(self, request: controls.SetPassword) -> Response:
        password, made = given_or_generated(request.password, request.address)
        if request.by_owner:
            await self._expect_another(request.address, password)
        account = await self._accounts.set_password(request.address, password, must_change=not request.by_owner)
        facts = {"address": account.address, **made, "must_change": not request.by_owner, **self._sessions_ended()}
        text = joined(Sentence("%(address)s has a new password.", address=account.address), ended(facts))
        if not request.by_owner:
            await self._tell(account.address, *password_was_reset())
            told = Sentence("A message tells the owner, who has to choose another at the next sign-in in a browser.")
            text = joined(text, told)
        return Response(joined(text, shown_once(facts), by="\n"), facts)

    async def _expect_another(self, address: str, password: str) -> None:
        """What an administrator set, and knows, cannot be what the owner chooses."""
        account = account_of(self._accounts, address)
        row = self._accounts.main_password(account.id)
        if row is not None and row.must_change and await self._accounts.is_own_password(account, password):
            problem = Sentence("This is the password that an administrator set.")
            raise SetupError(problem, Sentence("Choose one that nobody else knows."))

    async def add_app_password(self, request: controls.AddAppPassword) -> Response:
        account = account_of(self._accounts, request.address)
        password = await self._accounts.add_app_password(account.address, request.label)
        facts = {"address": account.address, "label": request.label, "password": password}
        text = Sentence('%(address)s has a password for "%(label)s".', address=account.address, label=request.label)
        return Response(joined(text, shown_once(facts), by="\n"), facts)

    async def remove_app_password(self, request: controls.RemoveAppPassword) -> Response:
        await self._accounts.remove_app_password(request.address, request.label)
        facts = {"label": request.label, **self._sessions_ended()}
        return Response(joined(Sentence('The password for "%(label)s" was removed.', label=request.label), ended(facts)), facts)

    async def list_app_passwords(self, request: controls.ListAppPasswords) -> Response:
        passwords = self._accounts.app_passwords(request.address)
        rows = [
            {
                "label": row.label, "set_at": row.set_at, "used_at": row.used_at, "used_from": row.used_from,
                "used_protocol": row.used_protocol,
            } for row in passwords
        ]  # fmt: skip
        width = max((len(row.label) for row in passwords), default=0)
        lines = [joined(f"{row.label:<{width}}", last_use(row.used_at, row.used_from, row.used_protocol), by="  ") for row in passwords]
        return Response(joined(*lines, by="\n") or Sentence("No app passwords."), {"app_passwords": rows})

    async def list_mailboxes(self, request: controls.ListMailboxes) -> Response:
        rows = [
            {"name": box.name, "messages": box.messages, "unseen": box.unseen, "octets": box.octets}
            for box in await self._store.list(account_of(self._accounts, request.address).id)
        ]
        width = max(len(str(row["name"])) for row in rows)
        lines = [joined(f"{row['name']:<{width}}", _counts(row), by="  ") for row in rows]
        return Response(joined(*lines, by="\n"), {"mailboxes": rows})

    def _sessions_ended(self) -> dict[str, int]:
        """Call right after a change of accounts or passwords: sessions signed in with what is gone end now."""
        return {"sessions_ended": self._running.end_sessions() if self._running is not None else 0}


def last_use(used_at: int | None, used_from: str, used_protocol: str) -> str:
    """When, from where and by which service a password was last used, for people."""
    if used_at is None:
        return Sentence("never used")
    where = Sentence("from %(where)s", where=used_from) if used_from else ""
    how = Sentence("by %(service)s", service=service_name(used_protocol)) if used_protocol else ""
    return joined(Sentence("last used %(time)s", time=stamp(used_at)), where, how)


def _counts(row: dict[str, Any]) -> str:
    """What a mailbox has."""
    messages = Sentence.counted("%(number)s message", "%(number)s messages", row["messages"])
    return Sentence("%(messages)s, %(unseen)s unread", messages=messages, unseen=row["unseen"])
