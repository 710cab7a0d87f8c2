"""app/owner_messages: what cannot be told is logged, and what was done stays done."""

from appliance.app.owner_messages import owner_teller, password_was_reset
from appliance.control.requests import Response, SendServerMessage
from appliance.languages.catalogues import ENGLISH
from appliance.mail.errors import StoreError, Trouble


async def test_a_message_that_cannot_be_stored_is_a_log_line() -> None:
    sent: list[SendServerMessage] = []
    log: list[str] = []

    async def send(request: SendServerMessage) -> Response:
        sent.append(request)
        if len(sent) > 1:
            raise StoreError(Trouble.FULL)
        return Response("")

    tell = owner_teller(send, lambda address: ENGLISH, log.append)
    await tell("ada@home.example", *password_was_reset())
    assert log == [] and sent[0].address == "ada@home.example" and "administrator" in sent[0].subject
    await tell("ada@home.example", *password_was_reset())
    assert len(log) == 1 and "ada@home.example" in log[0]
