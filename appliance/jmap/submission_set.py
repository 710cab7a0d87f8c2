"""EmailSubmission/set: send a message, cancel one that was not sent yet, forget a submission (RFC 8621 §7.5).

| change                       | effect                                                                                              |
|------------------------------|-----------------------------------------------------------------------------------------------------|
| create                       | submitted: message, queue and submission are one commit, and "created" comes after it               |
| update undoStatus: canceled  | it leaves the queue and is canceled in one commit; cannotUnsend when it was sent or an attempt runs |
| destroy                      | the record goes; what is queued is sent all the same                                                |

Then one Email/set carries out onSuccessUpdateEmail and onSuccessDestroyEmail for those that succeeded; its response follows.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.accounts.directory import Directory
from appliance.auth.identity import Identity
from appliance.delivery.plan import DeliveryPlan, PlannedCopy
from appliance.delivery.submission import Cause, SubmissionRefusal, Submitter, new_message_id
from appliance.mail.clock import Clock
from appliance.mail.envelope import Envelope
from appliance.mail.ids import MessageId
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, SetError, invalid_properties
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.smtp.futurerelease import MOST_S
from appliance.queue.queue import Queue
from appliance.queue.submissions import (
    CANCELED,
    FINAL,
    PENDING,
    SubmissionRecipient,
    SubmissionRow,
    add_submission,
    destroy_submission,
    submissions,
)
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.identities import identities
from appliance.store.object_changes import SUBMISSION as TABLE
from appliance.store.object_changes import object_state
from appliance.store.scope import own
from appliance.store.store import Store

from .email_content import octets_of, open_message
from .header_forms import encode_date
from .identity import SUBMISSION, KnownIdentity, known_identities, own_account
from .ids import encode_id, encode_state, parse_id
from .method import Call, JmapAccount, Method, Response
from .standard import SetOutcome, attempt, expect_same, read_set
from .submission import SubmissionMethods
from .submission_envelope import encode_envelope, invalid_recipients, made_envelope, read_envelope, too_many

_KINDS = {
    Cause.SENDER: "forbiddenMailFrom", Cause.AUTHOR: "forbiddenFrom", Cause.NO_RECIPIENTS: "noRecipients", Cause.MESSAGE: "invalidEmail",
    Cause.QUOTA: "forbiddenToSend",
}  # fmt: skip
CREATE_PROPERTIES = ("identityId", "emailId", "envelope", "undoStatus")

EmailSet = Callable[[Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Sending:
    """What submissions need of the server."""

    submitter: Submitter
    queue: Queue
    directory: Directory
    clock: Clock


def submission_facts(sending: Sending) -> dict[str, Any]:
    """The capability's object (RFC 8621 §1.3.2). FUTURERELEASE tells the longest interval only: its latest time moves on."""
    octets = str(sending.submitter.rules.message_octets)
    return {
        "maxDelayedSend": MOST_S,
        "submissionExtensions": {"FUTURERELEASE": [str(MOST_S)], "SIZE": [octets], "DSN": [], "REQUIRETLS": [], "SMTPUTF8": []},
    }


@dataclass(slots=True)
class _Progress:
    """One call. `emails`: of each submission that succeeded, by its id, and by "#" and its creation id."""

    call: Call
    account: JmapAccount
    outcome: SetOutcome = field(default_factory=SetOutcome)
    emails: dict[str, MessageId] = field(default_factory=dict)


class SubmissionSetMethods:
    """The methods of one server. `email_set` is Email/set."""

    def __init__(self, store: Store, sending: Sending, email_set: EmailSet, limits: JmapLimits) -> None:
        self._store = store
        self._sending = sending
        self._email_set = email_set
        self._submissions = SubmissionMethods(store, limits)
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("EmailSubmission/set", SUBMISSION, self.set),)

    async def set(self, call: Call) -> list[Response]:
        account = own_account(call, write=True)
        before = await self._state(account)
        request = read_set(call.arguments, before, self._limits.objects_in_set)
        updates = call.arguments.objects("onSuccessUpdateEmail")
        destroys = call.arguments.ids("onSuccessDestroyEmail", most=self._limits.objects_in_set, limit="maxObjectsInSet") or []
        call.arguments.end()
        progress = _Progress(call, account)
        for name, new in request.create.items():
            await attempt(progress.outcome, "notCreated", name, lambda name=name, new=new: self._create(progress, name, new))  # type: ignore[misc]
        for one, patch in request.update.items():
            await attempt(progress.outcome, "notUpdated", one, lambda one=one, patch=patch: self._update(progress, one, patch))  # type: ignore[misc]
        for one in request.destroy:
            await attempt(progress.outcome, "notDestroyed", one, lambda one=one: self._destroy(progress, one))  # type: ignore[misc]
        responses: list[Response] = [(call.name, progress.outcome.encode(account.id, before, await self._state(account)))]
        return responses + await self._after(progress, updates, destroys)

    async def _state(self, account: JmapAccount) -> str:
        return encode_state(await self._store.database.read(lambda connection: object_state(connection, TABLE, account.account)))

    async def _after(self, progress: _Progress, updates: Mapping[str, Any], destroys: Sequence[str]) -> list[Response]:
        """The implicit Email/set; none where nothing is left to do."""
        update = {encode_id("M", progress.emails[one]): patch for one, patch in updates.items() if one in progress.emails}
        destroy = [encode_id("M", progress.emails[one]) for one in destroys if one in progress.emails]
        if not update and not destroy:
            return []
        arguments = Arguments({"accountId": progress.account.id, "update": update, "destroy": destroy})
        try:
            return [("Email/set", await self._email_set(Call("Email/set", arguments, progress.call.caller, progress.call.created)))]
        except MethodError as error:
            return [("error", error.response)]

    # --- create ----------------------------------------------------------------------------------

    async def _create(self, progress: _Progress, name: str, new: dict[str, Any]) -> None:
        sending, now = self._sending, int(self._sending.clock.wall_s())
        unknown = [member for member in new if member not in CREATE_PROPERTIES]
        if unknown or new.get("undoStatus", PENDING) not in (PENDING, FINAL):
            raise invalid_properties("These cannot be set.", *(unknown or ["undoStatus"]))
        identity, message = await self._read(progress, new)
        submitter = sending.submitter
        if message.octets - len(message.prefix) > submitter.rules.message_octets:
            raise SetError("tooLarge", "The message is larger than the server sends.", maxSize=submitter.rules.message_octets)
        most, given = submitter.rules.recipients, new.get("envelope")
        if given is None:
            envelope = made_envelope(message.envelope, identity.address, most)
            given = encode_envelope(envelope)
        else:
            envelope = read_envelope(given, most, now, holds=submitter.holds)
        me = Identity(progress.account.account, progress.call.caller.address)
        refused = submitter.resolve(me, envelope, message.octets)
        if refused is not None:
            raise self._error(refused)
        queue_id = new_message_id()
        send_at = max(envelope.options.release_at, now)
        row = SubmissionRow(0, queue_id, identity.id, message.id, message.thread, given, (), send_at, PENDING)
        made: list[tuple[int, str]] = []

        def join(transaction: Any, plan: DeliveryPlan, full: Sequence[PlannedCopy]) -> None:
            joined = _row_of(row, envelope, plan, full)
            made[:] = [(add_submission(transaction, progress.account.account, joined, now), joined.undo)]

        opened = await open_message(self._store, message)
        octets = octets_of(opened, len(opened.prefix), opened.octets)
        done = await submitter.submit(me, envelope, octets, join, message=queue_id)
        if isinstance(done, SubmissionRefusal):
            raise self._error(done)
        ((number, undo),) = made
        one = encode_id("S", number)
        progress.call.created[name] = one
        progress.emails[one] = progress.emails[f"#{name}"] = message.id
        progress.outcome.created[name] = {
            "id": one, "threadId": encode_id("T", message.thread), "sendAt": encode_date(send_at), "undoStatus": undo,
            **({} if new.get("envelope") else {"envelope": given}),
        }  # fmt: skip

    async def _read(self, progress: _Progress, new: Mapping[str, Any]) -> tuple[KnownIdentity, AccountMessage]:
        account, created = progress.account.account, progress.call.created
        wanted = {name: created_id(new[name], created) if isinstance(new.get(name), str) else None for name in ("identityId", "emailId")}
        number = parse_id("M", wanted["emailId"] or "")

        def work(connection: Any) -> Any:
            return identities(connection, account)[1], account_messages(connection, own(account), [number] if number else [])

        rows, messages = await self._store.database.read(work)
        identity = known_identities(self._sending.directory, account, rows).get(wanted["identityId"] or "")
        message = messages.get(MessageId(number or 0))
        if identity is None or message is None:
            wrong = [name for name, found in (("identityId", identity), ("emailId", message)) if found is None]
            raise invalid_properties("There is no such identity or message.", *wrong)
        return identity, message

    def _error(self, refused: SubmissionRefusal) -> SetError:
        sentence, rules = " ".join(refused.reply.lines), self._sending.submitter.rules
        match refused.cause:
            case Cause.RECIPIENTS:
                return invalid_recipients(refused.addresses, sentence)
            case Cause.TOO_MANY:
                return too_many(rules.recipients)
            case Cause.TOO_LARGE:
                return SetError("tooLarge", sentence, maxSize=rules.message_octets)
            case Cause.UNREADABLE_FROM:
                return SetError("invalidEmail", sentence, properties=["from"])
        return SetError(_KINDS[refused.cause], sentence)

    # --- update, destroy -------------------------------------------------------------------------

    async def _update(self, progress: _Progress, one: str, patch: Mapping[str, Any]) -> None:
        row = await self._find(progress, one)
        fixed = {name: value for name, value in patch.items() if name != "undoStatus"}
        await expect_same(self._submissions.get, progress.call, progress.account.id, one, fixed)
        if patch.get("undoStatus", row.undo) not in (row.undo, CANCELED):
            raise invalid_properties("Of a submission only undoStatus changes, to canceled.", "undoStatus")
        if patch.get("undoStatus", row.undo) != row.undo and not await self._sending.queue.withdraw(row.message):
            raise SetError("cannotUnsend", "The message has been sent, or is being sent just now.")
        progress.emails[one] = row.email
        progress.outcome.updated[one] = None

    async def _destroy(self, progress: _Progress, one: str) -> None:
        row = await self._find(progress, one)
        await self._store.database.write(lambda transaction: destroy_submission(transaction, progress.account.account, row.id))
        progress.emails[one] = row.email
        progress.outcome.destroyed.append(encode_id("S", row.id))

    async def _find(self, progress: _Progress, one: str) -> SubmissionRow:
        number = parse_id("S", created_id(one, progress.call.created) or "") or 0
        rows = await self._store.database.read(lambda connection: submissions(connection, progress.account.account, [number]))
        if not rows:
            raise SetError("notFound", "There is no such submission.")
        return rows[0]


def _row_of(row: SubmissionRow, envelope: Envelope, plan: DeliveryPlan, full: Sequence[PlannedCopy]) -> SubmissionRow:
    """With where each recipient's copy is once the message is accepted."""
    recipients = []
    for one in envelope.recipients:
        copies = [copy for copy in plan.copies if copy.recipient is one]
        queued = [str(address) for address in one.outside]
        queued += [str(one.address)] if plan.held and one.accounts else []
        queued += [str(copy.waiting.address) for copy in copies if copy in full]
        stored = bool(one.accounts) and not plan.held and all(copy not in full for copy in copies)
        recipients.append(SubmissionRecipient(str(one.address), stored, tuple(queued)))
    undo = FINAL if len(plan.copies) > len(full) else PENDING
    return SubmissionRow(0, row.message, row.identity, row.email, row.thread, row.envelope, tuple(recipients), row.send_at, undo)
