"""store/sharing, tree_changes, visible, copy_between: what another account sees and may do, whatever the owner does meanwhile."""

from collections.abc import Awaitable
from pathlib import Path

from appliance.database.check import check
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.mail.rights import ALL, ANYONE, parse_rights
from appliance.store.scope import Scope
from appliance.store.shared_accounts import SharedAccount, SharedAccounts
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want
from appliance.store.visible import VisibleMailboxes

from .server import ANN, BEN, a_server, put

EVE = AccountId(3)


async def trouble_of(work: Awaitable[object]) -> Trouble | None:
    try:
        await work
    except StoreError as error:
        return error.trouble
    return None


async def add(store: Store, account: AccountId, address: str) -> None:
    def work(transaction: object) -> None:
        transaction.execute("INSERT INTO account(id, address, added_at) VALUES (?, ?, 0)", (account, address))  # type: ignore[attr-defined]
        if account not in (ANN, BEN):
            store.make_mailboxes(transaction, account)

    await store.database.write(work)


async def family(store: Store) -> tuple[VisibleMailboxes, VisibleMailboxes, VisibleMailboxes]:
    for account, address in ((ANN, "ann@example.org"), (BEN, "ben@example.org"), (EVE, "eve@example.org")):
        await add(store, account, address)
    return VisibleMailboxes(store, ANN), VisibleMailboxes(store, BEN), VisibleMailboxes(store, EVE)


async def share(owner: VisibleMailboxes, name: str, account: AccountId, rights: str, mode: Mode = Mode.REPLACE) -> None:
    await owner.set_rights(name, account, mode, parse_rights(rights))


async def shared_names(view: VisibleMailboxes) -> list[str]:
    return [info.name for info in await view.list() if info.account != view.account]


async def test_a_mailbox_is_seen_and_forgotten(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, eve = await family(store)
        await ann.create("Family")
        assert await shared_names(ben) == []
        assert await trouble_of(ben.find("Shared/Family")) is Trouble.NO_MAILBOX
        await share(ann, "Family", BEN, "lr")
        assert await shared_names(ben) == ["Shared/Family"]
        info = await ben.find("Shared/Family")
        assert (info.own_name, info.rights, info.account, info.subscribed) == ("Family", parse_rights("lr"), ANN, True)
        assert await shared_names(eve) == []
        await ann.create("Family/Tours")  # inherits, with its subscription
        assert await shared_names(ben) == ["Shared/Family", "Shared/Family/Tours"]
        assert "Shared/Family/Tours" in await ben.subscriptions()
        await ann.rename("Family", "Home")
        assert await shared_names(ben) == ["Shared/Home", "Shared/Home/Tours"]
        assert [name for name in await ben.subscriptions() if "/" in name] == ["Shared/Home", "Shared/Home/Tours"]
        await ann.delete("Home/Tours")
        assert await shared_names(ben) == ["Shared/Home"]
        await share(ann, "Home", BEN, "")
        assert await shared_names(ben) == []
        assert [name for name in await ben.subscriptions() if "/" in name] == []


async def test_names_that_meet(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, eve = await family(store)
        for owner in (ann, eve):
            await owner.create("Family/Tours")
            for name in ("Family", "Family/Tours"):
                await share(owner, name, BEN, "lrk")
        assert await shared_names(ben) == ["Shared/Family", "Shared/Family (eve)", "Shared/Family (eve)/Tours", "Shared/Family/Tours"]
        made = await ben.create("Shared/Family (eve)/New")
        assert (made.account, made.own_name) == (EVE, "Family/New")
        await store.create(BEN, "Shared/Family")  # by JMAP, which has no namespaces
        assert (await ben.find("Shared/Family")).account == BEN
        assert [name for name in await shared_names(ben) if "(ann)" in name] == ["Shared/Family (ann)", "Shared/Family (ann)/Tours"]
        assert len({info.name for info in await ben.list()}) == len(await ben.list())


async def test_where_a_new_mailbox_goes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        await ann.create("Family")
        await share(ann, "Family", BEN, "lr")
        assert await trouble_of(ben.create("Shared/Mine")) is Trouble.NO_RIGHT
        assert await trouble_of(ben.create("Shared/Family/New")) is Trouble.NO_RIGHT
        await share(ann, "Family", BEN, "lrk")
        await ben.create("Shared/Family/New")
        assert "Family/New" in [info.name for info in await store.list(ANN)]
        assert await trouble_of(ben.delete("Shared/Family/New")) is Trouble.NO_RIGHT
        assert await trouble_of(ben.rename("Shared/Family/New", "Mine")) is Trouble.NO_RIGHT
        await share(ann, "Family/New", BEN, "lrx")
        assert await trouble_of(ben.rename("Shared/Family/New", "Mine")) is Trouble.NOT_ALLOWED
        await ben.rename("Shared/Family/New", "Shared/Family/Newer")
        assert "Family/Newer" in [info.name for info in await store.list(ANN)]
        await ben.delete("Shared/Family/Newer")
        assert await shared_names(ben) == ["Shared/Family"]


async def test_no_right_is_told_only_to_who_sees_the_mailbox(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        await ann.create("Family")
        await share(ann, "Family", BEN, "l")
        assert await trouble_of(ben.open("Shared/Family")) is Trouble.NO_RIGHT
        await share(ann, "Family", BEN, "k")
        for work in (ben.open("Shared/Family"), ben.delete("Shared/Family"), ben.rights_given("Shared/Family")):
            assert await trouble_of(work) is Trouble.NO_MAILBOX


async def test_flags_by_rights(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        info = await ann.create("Family")
        await put(store, Placement(info.id, b"", ("\\Flagged", "later")))
        await share(ann, "Family", BEN, "lrs")
        box = await ben.open("Shared/Family")
        (uid,) = box.uids
        await box.set_flags([uid], Mode.REPLACE, ["\\Seen", "\\Deleted", "other"])  # type: ignore[list-item]
        rows = await box.some_rows([uid], Want.FLAGS)  # type: ignore[list-item]
        assert rows[0].flags == 1 | 4 | 32, "only \\Seen came, nothing went"
        assert await trouble_of(box.set_flags([uid], Mode.ADD, ["\\Deleted"])) is Trouble.NO_RIGHT  # type: ignore[list-item]
        assert await trouble_of(box.expunge()) is Trouble.NO_RIGHT
        await share(ann, "Family", BEN, "lr")
        assert box.rights_outdated
        assert await trouble_of(box.set_flags([uid], Mode.REMOVE, ["\\Seen"])) is Trouble.NO_RIGHT  # type: ignore[list-item]
        assert await box.read_rights()
        assert box.read_only
        await share(ann, "Family", BEN, "")
        assert await trouble_of(box.read_rights()) is Trouble.NO_MAILBOX
        box.close()


async def test_copies_between_accounts_share_octets_alone(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        info = await ann.create("Family")
        for number in range(3):
            await put(store, Placement(info.id, b"X: y\r\n", ("\\Seen", "later"), 1_600_000_000 + number))
        await share(ann, "Family", BEN, "lr")
        box = await ben.open("Shared/Family")
        copied = await box.copy(list(box.uids), "INBOX", complete=True)  # type: ignore[arg-type]
        assert (await ben.find("INBOX")).octets == (await ann.find("Family")).octets > 0
        assert await trouble_of(box.move(list(box.uids), "INBOX")) is Trouble.READ_ONLY  # type: ignore[arg-type]
        own = await ben.open("INBOX")
        rows = await own.rows(1, 10, Want.FACTS | Want.BODY | Want.DATES)  # type: ignore[arg-type]
        sources = await box.rows(1, 10, Want.FACTS | Want.BODY | Want.DATES)  # type: ignore[arg-type]
        assert [row.uid for row in rows] == copied.copies
        assert {row.message for row in rows}.isdisjoint(row.message for row in sources)
        for field in ("body", "octets", "envelope", "prefix", "internal_at", "flags"):
            assert [getattr(row, field) for row in rows] == [getattr(row, field) for row in sources], field
        await share(ann, "Family", BEN, "lrte")
        await box.read_rights()
        moved = await box.move(list(box.uids)[:1], "Archive")  # type: ignore[arg-type]
        assert len(moved.copies) == 1
        assert (await ann.find("Family")).messages == 2
        assert await trouble_of(own.copy([1], "Shared/Family")) is Trouble.NO_RIGHT  # type: ignore[list-item]
        await share(ann, "Family", BEN, "lrti")
        back = await own.copy([1], "Shared/Family")  # type: ignore[list-item]
        (row,) = await box.some_rows(back.copies, Want.FLAGS)
        assert row.flags == 0, "neither \\Seen nor keywords may be set there"
        box.close()
        own.close()
        await ann.delete("Family")
        assert [len(octets) for octets in [await _octets(ben)]] == [3]
    assert not check(tmp_path / "pillarbox.db").faults


async def _octets(view: VisibleMailboxes) -> list[bytes]:
    box = await view.open("INBOX")
    found = [await message.read(0, 1000) for _, message in await box.open_batch(1, 10, 10)]  # type: ignore[arg-type]
    box.close()
    return found


async def test_an_account_that_goes_takes_its_rights_and_its_mailboxes(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, _, eve = await family(store)
        await ann.create("Family")
        for account in (BEN, EVE):
            await share(ann, "Family", account, "lr")
        await store.database.write(lambda transaction: store.remove_mailboxes(transaction, BEN))
        assert await ann.rights_given("Family") == (ANN, {EVE: parse_rights("lr")})
        assert store.shared_accounts.of(BEN) == () and store.shared_accounts.of(EVE) == (SharedAccount(ANN, can_change=False),)
        await store.database.write(lambda transaction: transaction.execute("UPDATE account SET removed_at = 1 WHERE id = 1"))
        await store.announce_shared(ANN)
        assert await shared_names(eve) == [] == await store.mailboxes_in(Scope(ANN, EVE)) and store.shared_accounts.of(EVE) == ()
        await store.database.write(lambda transaction: store.remove_mailboxes(transaction, ANN))
        assert await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM mailbox_right").fetchone()[0]) == 0
        assert "Shared/Family" not in await eve.subscriptions()
        for table in ("shared_sight", "shared_change"):
            rows = await store.database.read(lambda connection, table=table: connection.execute(f"SELECT * FROM {table}").fetchall())
            assert rows == []


async def test_what_anyone_may(tmp_path: Path) -> None:
    """RFC 4314 §2: an account has its own rights and those of anyone, whichever are given or taken first; the owner has no need of them."""
    async with a_server(tmp_path) as store:
        ann, ben, eve = await family(store)
        await ann.create("Family")
        await share(ann, "Family", BEN, "ls")
        await share(ann, "Family", ANYONE, "lr")
        await ann.create("Family/Tours")  # inherits
        assert (await ben.find("Shared/Family")).rights == parse_rights("lrs")
        assert (await eve.find("Shared/Family")).rights == parse_rights("lr")
        assert await shared_names(ann) == [] and await shared_names(eve) == ["Shared/Family", "Shared/Family/Tours"]
        assert "Shared/Family/Tours" in await eve.subscriptions()
        assert store.shared_accounts.of(BEN) == (SharedAccount(ANN, can_change=True),) and store.shared_accounts.of(ANN) == ()
        assert [len(await store.mailboxes_in(Scope(ANN, viewer))) for viewer in (BEN, EVE)] == [2, 2]
        box = await eve.open("Shared/Family")
        await share(ann, "Family", ANYONE, "")
        assert box.rights_outdated and await trouble_of(box.read_rights()) is Trouble.NO_MAILBOX
        box.close()
        assert (await ben.find("Shared/Family", "")).rights == parse_rights("ls")
        assert await shared_names(eve) == ["Shared/Family/Tours"] and "Shared/Family" not in await eve.subscriptions()
    assert not check(tmp_path / "pillarbox.db").faults


async def test_an_account_made_later_is_one_of_all(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, _, _ = await family(store)
        await ann.create("Family")
        await share(ann, "Family", ANYONE, "lr")
        late = VisibleMailboxes(store, AccountId(4))
        await add(store, late.account, "late@example.org")
        assert await shared_names(late) == ["Shared/Family"] and "Shared/Family" in await late.subscriptions()
        started = SharedAccounts()
        await store.database.read(started.load)
        assert store.shared_accounts.of(late.account) == started.of(late.account) == (SharedAccount(ANN, can_change=False),)


async def test_what_is_refused(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        assert await trouble_of(share(ann, "INBOX", ANN, "lr")) is Trouble.NOT_ALLOWED
        assert await trouble_of(share(ann, "Nothing", BEN, "lr")) is Trouble.NO_MAILBOX
        assert await trouble_of(share(ben, "Shared/INBOX", BEN, "lr")) is Trouble.NO_MAILBOX
        await share(ann, "INBOX", BEN, "lrxa")
        assert await trouble_of(ben.rename("Shared/INBOX", "Shared/INBOX/x")) is not None
        assert await trouble_of(ben.delete("Shared/INBOX")) is Trouble.NOT_ALLOWED
        assert await trouble_of(share(ben, "Shared/INBOX", ANN, "")) is Trouble.NOT_ALLOWED
        assert (await ann.find("INBOX")).rights == ALL


async def test_private_values_are_each_accounts_own(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        ann, ben, _ = await family(store)
        await ann.create("Family")
        await share(ann, "Family", BEN, "lr")
        await ann.set_metadata("Family", {"/private/comment": b"ann's", "/shared/comment": b"ours"})
        await ben.set_metadata("Shared/Family", {"/private/comment": b"ben's"})
        assert await ben.metadata("Shared/Family") == {"/private/comment": b"ben's", "/shared/comment": b"ours"}
        assert await trouble_of(ben.set_metadata("Shared/Family", {"/shared/comment": b"mine"})) is Trouble.NO_RIGHT
        await share(ann, "Family", BEN, "lrw")
        await ben.set_metadata("Shared/Family", {"/shared/comment": b"mine"})
        assert (await ann.metadata("Family")) == {"/private/comment": b"ann's", "/shared/comment": b"mine"}
