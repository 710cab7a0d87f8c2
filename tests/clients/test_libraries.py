"""Client libraries: MULTIAPPEND, CHANGEDSINCE, MOVE and ACL of imapclient, imap-tools, IDLE of aioimaplib, sending with aiosmtplib."""

import asyncio
import ssl

import aioimaplib
import aiosmtplib
import pytest
from imap_tools import AND, MailBox, MailMessage
from imapclient import IMAPClient

from tests.support.server import PASSWORD
from tests.support.wire import eventually

from .conftest import ADA, AWKWARD, BEN, HOST, Served, message, own_part


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    served.empty()
    served.empty(account=BEN)


def test_imapclient_multiappend_and_changedsince(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority))
    with IMAPClient(HOST, served.imaps, ssl_context=context) as imap:
        imap.login(ADA, PASSWORD)
        imap.multiappend("INBOX", [{"msg": message(1), "flags": [b"\\Seen"]}, {"msg": message(2)}, {"msg": message(3)}])
        imap.select_folder("INBOX")
        uids = imap.search("ALL")
        there = served.messages()
        assert uids == list(there) == list(range(uids[0], uids[0] + 3))
        assert list(there.values()) == [(message(1), frozenset({b"\\Seen"})), (message(2), frozenset()), (message(3), frozenset())]
        then = max(row[b"MODSEQ"][0] for row in imap.fetch(uids, ["MODSEQ"]).values())
        imap.add_flags([uids[1]], [b"\\Answered"])
        changed = imap.fetch(uids, ["FLAGS"], [f"CHANGEDSINCE {then}"])
        assert list(changed) == [uids[1]] and set(changed[uids[1]][b"FLAGS"]) >= {b"\\Answered"}
        assert changed[uids[1]][b"MODSEQ"][0] > then
        assert served.messages()[uids[1]] == (message(2), frozenset({b"\\Answered"}))


def test_imapclient_move_keeps_octets_and_flags(served: Served) -> None:
    served.empty("Archive")
    with IMAPClient(HOST, served.imaps, ssl_context=ssl.create_default_context(cafile=str(served.authority))) as imap:
        imap.login(ADA, PASSWORD)
        assert imap.find_special_folder(b"\\Archive") == "Archive"
        uids = served.fill([message(1), message(2)], flags=("\\Flagged", "$Label1"))
        imap.select_folder("INBOX")
        imap.move([uids[0]], "Archive")
        assert list(served.messages()) == [uids[1]]
        flags = frozenset({b"\\Flagged", b"$Label1"})
        assert list(served.messages("Archive").values()) == [(message(1), flags)]
        assert served.messages()[uids[1]] == (message(2), flags)


def test_imapclient_shares_a_mailbox(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority))
    with IMAPClient(HOST, served.imaps, ssl_context=context) as ada, IMAPClient(HOST, served.imaps, ssl_context=context) as ben:
        ada.login(ADA, PASSWORD)
        ben.login(BEN, PASSWORD)
        ada.create_folder("Family")
        ada.append("Family", message(1), [b"\\Flagged"])
        assert ben.namespace().other == (("Shared/", "/"),)
        assert not ben.list_folders("", "Shared/*")
        ada.setacl("Family", BEN, "lrswite")
        assert ada.getacl("Family") == [(ADA.encode(), b"lrswipkxteacd"), (BEN.encode(), b"lrswited")]
        assert [name for _, _, name in ben.list_sub_folders("", "Shared/*")] == ["Shared/Family"]
        ben.append("Shared/Family", message(2), [b"\\Answered"])
        ben.select_folder("Shared/Family")
        uids = ben.search("ALL")
        ben.add_flags(uids[:1], [b"\\Seen"])
        ben.copy(uids[:1], "INBOX")
        assert list(served.messages("Family").values()) == [
            (message(1), frozenset({b"\\Flagged", b"\\Seen"})),
            (message(2), frozenset({b"\\Answered"})),
        ]
        assert list(served.messages(account=BEN).values()) == [(message(1), frozenset({b"\\Flagged", b"\\Seen"}))]
        ben.unselect_folder()
        ada.setacl("Family", BEN, "-lrswite")
        assert not ben.folder_exists("Shared/Family")


class Octets(MailMessage):
    """A message of imap-tools that keeps its octets."""

    def __init__(self, fetch_data: list[bytes | tuple[bytes, bytes]]) -> None:
        super().__init__(fetch_data)
        self.octets = self._get_message_data_parts(fetch_data)[0]


class Box(MailBox):
    email_message_class = Octets


def test_imap_tools_fetches_searches_and_sorts(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority))
    with Box(HOST, port=served.imaps, ssl_context=context).login(ADA, PASSWORD) as box:
        for octets in AWKWARD:
            box.append(octets, "INBOX", flag_set=["\\Flagged", "$Work"])
        assert list(served.messages().values()) == [(octets, frozenset({b"\\Flagged", b"$Work"})) for octets in AWKWARD]
        for bulk in (False, True, 3):
            found = list(box.fetch(mark_seen=False, bulk=bulk))
            assert [one.octets for one in found] == AWKWARD
            assert [one.size_rfc822 for one in found] == [len(octets) for octets in AWKWARD]
            assert all({"\\Flagged", "$Work"} == set(one.flags) - {"\\Recent"} for one in found)
        (mixed,) = box.fetch(AND(subject="two attachments"))
        assert [(one.filename, len(one.payload)) for one in mixed.attachments] == [("a very long name.bin", 200), ("naïve.png", 8)]
        assert "\\Seen" in mixed.flags
        (german,) = box.fetch(AND(text="Schöne Grüße"), charset="UTF-8", mark_seen=False)
        assert german.text.startswith("Schöne Grüße")
        sizes = [one.size_rfc822 for one in box.fetch(charset="UTF-8", sort="REVERSE SIZE", mark_seen=False, headers_only=True)]
        assert sizes == sorted(map(len, AWKWARD), reverse=True)
        assert box.uids(AND(seen=True)) == [mixed.uid]
        box.folder.unset()
        seen = {int(mixed.uid)}  # which FETCH sets, to be stored within seconds
        assert eventually(lambda: {uid for uid, (_, flags) in served.messages().items() if b"\\Seen" in flags} == seen)


def test_imap_tools_marks_moves_and_deletes(served: Served) -> None:
    served.empty("Archive")
    first, second, third = map(str, served.fill([message(1), message(2), message(3)]))
    context = ssl.create_default_context(cafile=str(served.authority))
    with Box(HOST, port=served.imaps, ssl_context=context).login(ADA, PASSWORD) as box:
        box.folder.create("Bücher/Neue")
        assert "Bücher/Neue" in [one.name for one in box.folder.list("Bücher")]
        box.flag([first, second], ["\\Answered", "$Forwarded"], True)
        box.flag(second, "\\Answered", False)
        box.copy(first, "Bücher/Neue")
        box.move(second, "Archive")
        box.delete(third)
        assert box.uids() == [first]
        assert box.folder.status("Bücher/Neue")["MESSAGES"] == 1
        with box.idle as idle:
            (new,) = served.fill([message(4)])
            while not any(line.endswith(b"EXISTS") for line in idle.poll(timeout=60)):
                pass
        assert [one.octets for one in box.fetch(uid_list=str(new), mark_seen=False)] == [message(4)]
        box.folder.rename("Bücher/Neue", "Bücher/Alte")
    marked = (message(1), frozenset({b"\\Answered", b"$Forwarded"}))
    assert list(served.messages().values()) == [marked, (message(4), frozenset())]
    assert list(served.messages("Bücher/Alte").values()) == [marked]
    assert list(served.messages("Archive").values()) == [(message(2), frozenset({b"$Forwarded"}))]


def test_aioimaplib_idles_while_messages_come_and_go(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority))

    async def read() -> None:
        imap = aioimaplib.IMAP4_SSL(host=HOST, port=served.imaps, ssl_context=context)
        await imap.wait_hello_from_server()
        assert (await imap.login(ADA, PASSWORD)).result == "OK"
        assert (await imap.append(message(1), "INBOX", flags="\\Flagged")).result == "OK"
        assert (await imap.select("INBOX")).result == "OK"
        idle = await imap.idle_start(timeout=60)
        (uid,) = await asyncio.to_thread(served.fill, [message(2)])
        while not any(line.endswith(b"EXISTS") for line in await imap.wait_server_push(60)):
            pass
        imap.idle_done()
        await asyncio.wait_for(idle, 60)
        fetched = await imap.uid("fetch", str(uid), "(FLAGS BODY.PEEK[])")
        assert fetched.result == "OK" and bytes(fetched.lines[1]) == message(2)
        assert (await imap.uid("store", str(uid), "+FLAGS (\\Answered)")).result == "OK"
        assert (await imap.uid("move", "1:*", "Archive")).result == "OK"
        await imap.logout()

    served.empty("Archive")
    asyncio.run(read())
    assert not served.messages()
    assert sorted(served.messages("Archive").values()) == [
        (message(1), frozenset({b"\\Flagged"})),
        (message(2), frozenset({b"\\Answered"})),
    ]


@pytest.mark.parametrize("kind", ["submission", "submissions"])
def test_aiosmtplib_sends_octets_unchanged(served: Served, kind: str) -> None:
    """8BITMIME: a body in UTF-8; SMTPUTF8: a header in it."""
    mine = (
        message(1, "Schöne Grüße")
        .replace(b"Subject: Message 1", "Subject: Grüße".encode())
        .replace(b"Friend <friend@elsewhere.example>", ADA.encode())
    )

    async def send() -> None:
        tls = {"start_tls": True} if kind == "submission" else {"use_tls": True}
        smtp = aiosmtplib.SMTP(hostname=HOST, port=getattr(served, kind), cert_bundle=str(served.authority), **tls)
        async with smtp:
            await smtp.login(ADA, PASSWORD)
            refused, _ = await smtp.sendmail(ADA, [BEN], mine, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
            assert not refused

    asyncio.run(send())
    ((octets, flags),) = served.messages(account=BEN).values()
    assert own_part(octets) == mine and flags == frozenset({b"$HasNoAttachment"})
    assert b"with UTF8SMTPSA" in octets


def test_aiosmtplib_fails_with_a_wrong_authority_or_password(served: Served) -> None:
    async def send(cert_bundle: str | None, password: str) -> None:
        async with aiosmtplib.SMTP(hostname=HOST, port=served.submissions, use_tls=True, cert_bundle=cert_bundle) as smtp:
            await smtp.login(ADA, password)

    with pytest.raises(aiosmtplib.SMTPConnectError):
        asyncio.run(send(None, PASSWORD))
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        asyncio.run(send(str(served.authority), "not this"))
