"""jmapc: a message with an attachment is written, sent, pushed, found, read, flagged, followed by changes and destroyed.

It is run by `jmapc_library.py` in an environment that has jmapc; one account signs in by password, the other by token.
"""

import sys
import threading
from itertools import chain
from pathlib import Path

import jmapc
from jmapc.methods import (
    EmailChanges,
    EmailGet,
    EmailQuery,
    EmailSet,
    EmailSubmissionGet,
    EmailSubmissionSet,
    IdentityGet,
    MailboxGet,
    MailboxQuery,
    SearchSnippetGet,
    ThreadGet,
)

TEXT = "hello\n.dot\n"


class Seen:
    """The events of an account, as they come, on a thread of their own."""

    def __init__(self, client: jmapc.Client) -> None:
        self.told = threading.Event()
        threading.Thread(target=self._watch, args=(client,), daemon=True).start()

    def _watch(self, client: jmapc.Client) -> None:
        for event in client.events:
            if event.data.changed[client.account_id].email:
                self.told.set()
                return


def draft(client: jmapc.Client, drafts: str, ben: str, place: Path) -> jmapc.Email:
    file = place / "bild.png"
    file.write_bytes(bytes(range(256)) * 100)
    blob = client.upload_blob(file)
    assert blob.size == 25_600 and blob.type == "image/png"
    return jmapc.Email(
        mailbox_ids={drafts: True},
        keywords={"$draft": True},
        mail_from=[jmapc.EmailAddress(email=client.jmap_session.username)],
        to=[jmapc.EmailAddress(name="Ben", email=ben)],
        subject="Grüße",
        text_body=[jmapc.EmailBodyPart(part_id="t", type="text/plain")],
        body_values={"t": jmapc.EmailBodyValue(value=TEXT)},
        attachments=[jmapc.EmailBodyPart(blob_id=blob.id, type="image/png", name="bild.png", disposition="attachment")],
    )


def send(client: jmapc.Client, ben: str, place: Path) -> None:
    boxes = {box.role: box.id for box in client.request(MailboxGet(ids=None), raise_errors=True).data}
    assert client.request(MailboxQuery(filter=jmapc.MailboxQueryFilterCondition(role="drafts")), raise_errors=True).ids == [boxes["drafts"]]
    identity = client.request(IdentityGet(), raise_errors=True).data[0]
    moved = {f"mailboxIds/{boxes['drafts']}": None, f"mailboxIds/{boxes['sent']}": True, "keywords/$draft": None}
    results = client.request(
        [
            EmailSet(create={"d": draft(client, boxes["drafts"], ben, place)}),
            EmailSubmissionSet(
                create={"s": jmapc.EmailSubmission(email_id="#d", identity_id=identity.id)}, on_success_update_email={"#s": moved}
            ),
        ],
        raise_errors=True,
    )
    made, submitted = results[0].response, results[1].response
    assert submitted.created["s"].id
    kept = client.request(EmailGet(ids=[made.created["d"].id], properties=["mailboxIds", "keywords"]), raise_errors=True).data[0]
    assert kept.mailbox_ids == {boxes["sent"]: True} and "$draft" not in (kept.keywords or {})
    assert client.request(EmailSubmissionGet(ids=[submitted.created["s"].id]), raise_errors=True).data[0].email_id == made.created["d"].id


def read(client: jmapc.Client, state: str, place: Path) -> str:
    """The arrived message by changes, by a text, and with its attachment; its id."""
    changes = client.request(EmailChanges(since_state=state), raise_errors=True)
    found = jmapc.EmailQueryFilterCondition(text="grüße")
    results = client.request(
        [
            EmailQuery(filter=found, sort=[jmapc.Comparator(property="receivedAt", is_ascending=False)]),
            EmailGet(ids=jmapc.Ref("/ids"), fetch_text_body_values=True),
            ThreadGet(ids=jmapc.Ref("/list/*/threadId")),
            SearchSnippetGet(filter=found, ids=jmapc.Ref("/ids", method=0)),
        ],
        raise_errors=True,
    )
    queried, got, threads, snippets = (result.response for result in results)
    assert queried.ids == changes.created and list(chain(*[thread.email_ids for thread in threads.data])) == queried.ids
    email = got.data[0]
    assert email.subject == "Grüße" and email.body_values[email.text_body[0].part_id].value == TEXT and email.has_attachment
    assert snippets.data[0].subject == "<mark>Grüße</mark>"
    client.download_attachment(email.attachments[0], place / "got.png")
    assert (place / "got.png").read_bytes() == (place / "bild.png").read_bytes()
    return email.id


def main(host: str, ada: str, ben: str, password: str, token: str, directory: str) -> None:
    place = Path(directory)
    owner = jmapc.Client.create_with_password(host, ada, password)
    other = jmapc.Client.create_with_api_token(host, token)
    state = other.request(EmailGet(ids=[]), raise_errors=True).state
    seen = Seen(jmapc.Client.create_with_api_token(host, token, last_event_id=""))
    send(owner, ben, place)
    assert seen.told.wait(30), "no event came"
    one = read(other, state, place)
    state = other.request(EmailGet(ids=[]), raise_errors=True).state
    other.request(EmailSet(update={one: {"keywords/$seen": True}}), raise_errors=True)
    changes = other.request(EmailChanges(since_state=state), raise_errors=True)
    assert changes.updated == [one] and not changes.created
    assert other.request(EmailSet(destroy=[one]), raise_errors=True).destroyed == [one]
    assert other.request(EmailGet(ids=[one]), raise_errors=True).not_found == [one]
    refused = other.request(EmailGet(ids=["x" * 300]))
    assert isinstance(refused, jmapc.errors.Error) and refused.type == "invalidArguments"


if __name__ == "__main__":
    main(*sys.argv[1:])
