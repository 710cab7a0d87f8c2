"""The tables of commands and extensions: complete, without clashes, each with its RFC."""

import pytest

from appliance.mail.errors import SetupError
from appliance.protocol.smtp.server import SmtpEvent
from appliance.smtpd.commands import CORE
from appliance.smtpd.extension import CommandTables, Parameter, RecipientParameter, SmtpExtension
from appliance.smtpd.extensions.table import EXTENSIONS
from appliance.smtpd.session import UNWANTED


def test_every_event_of_a_client_has_a_command() -> None:
    tables = CommandTables(CORE, EXTENSIONS)
    assert {command.event for command in tables.commands.values()} == set(SmtpEvent) - {SmtpEvent.OVER, SmtpEvent.CLOSE}
    assert not tables.commands.keys() & UNWANTED
    dsn, later, private = {b"RET", b"ENVID"}, {b"HOLDFOR", b"HOLDUNTIL"}, {b"REQUIRETLS"}
    assert tables.mail_parameters.keys() == {b"SIZE", b"BODY", b"SMTPUTF8", b"AUTH"} | dsn | later | private
    assert tables.recipient_parameters.keys() == {b"NOTIFY", b"ORCPT"}


def test_words_are_declared_once() -> None:
    twice = SmtpExtension("twice", "RFC 0", commands=(CORE[0],))
    with pytest.raises(SetupError, match="EHLO"):
        CommandTables(CORE, [twice])
    CommandTables((), [twice])
    parameters = [
        SmtpExtension(name, "RFC 0", mail_parameters=(Parameter(b"SIZE", lambda session, envelope, value: None),)) for name in "ab"
    ]
    with pytest.raises(SetupError, match="SIZE"):
        CommandTables((), parameters)
    of_recipients = [
        SmtpExtension(name, "RFC 0", recipient_parameters=(RecipientParameter(b"ORCPT", lambda session, envelope, recipient, value: None),))
        for name in "ab"
    ]
    with pytest.raises(SetupError, match="ORCPT"):
        CommandTables((), of_recipients)


def test_extensions_name_their_rfc() -> None:
    assert all(extension.rfc.startswith("RFC ") for extension in EXTENSIONS)
    assert len({extension.name for extension in EXTENSIONS}) == len(EXTENSIONS)
