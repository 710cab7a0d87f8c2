"""The state table of the SMTP server: every state with every event is a step, a refusal or impossible."""

import pytest

from appliance.protocol.smtp.server import NEXT, REFUSALS, SmtpEvent, SmtpServerState, SmtpState

WAITING = {SmtpState.GREETED, SmtpState.READY, SmtpState.SENDER, SmtpState.RECIPIENTS, SmtpState.CHUNKS}
"""States in which the client gives commands."""


@pytest.mark.parametrize("state", SmtpState)
@pytest.mark.parametrize("event", SmtpEvent)
def test_every_state_with_every_event(state: SmtpState, event: SmtpEvent) -> None:
    conversation = SmtpServerState()
    conversation.state = state
    refusal = conversation.check(event)
    step = (state, event) in NEXT
    if event is SmtpEvent.CLOSE:
        possible = True
    elif event is SmtpEvent.OVER:
        possible = state in {SmtpState.TEXT, SmtpState.CHUNKS, SmtpState.AUTHENTICATING, SmtpState.HANDSHAKE}
    else:
        possible = state in WAITING
    assert (step or refusal is not None) == possible
    assert not (step and refusal is not None), "a command is carried out or refused, not both"
    if refusal is not None:
        assert (refusal.code, refusal.status) == (503, "5.5.1")
        assert refusal.lines[0].endswith(".")
        assert conversation.state is state
    elif step:
        assert conversation.proceed(event) is NEXT[state, event] is conversation.state
    else:
        with pytest.raises(KeyError):
            conversation.proceed(event)


def walk(*events: SmtpEvent) -> SmtpState:
    conversation = SmtpServerState()
    for event in events:
        assert conversation.check(event) is None, event
        conversation.proceed(event)
    return conversation.state


def test_transitions() -> None:
    e = SmtpEvent
    assert walk(e.EHLO, e.MAIL, e.RCPT, e.RCPT, e.DATA, e.OVER, e.MAIL) is SmtpState.SENDER
    assert walk(e.EHLO, e.MAIL, e.RCPT, e.BDAT, e.ASIDE, e.BDAT, e.OVER) is SmtpState.READY
    assert walk(e.EHLO, e.STARTTLS, e.OVER, e.EHLO, e.AUTH, e.OVER, e.MAIL, e.RSET) is SmtpState.READY
    assert walk(e.STARTTLS, e.OVER) is SmtpState.GREETED
    assert walk(e.EHLO, e.MAIL, e.RCPT, e.BDAT, e.RSET, e.QUIT) is SmtpState.CLOSED
    assert walk(e.RSET, e.ASIDE) is SmtpState.GREETED


def test_nothing_is_in_both_tables_and_every_state_can_be_reached() -> None:
    assert not NEXT.keys() & REFUSALS.keys()
    assert set(NEXT.values()) == set(SmtpState)
