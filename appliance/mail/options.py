"""ESMTP options of a message and of its recipients: parsed once in `smtpd`, carried whole, and written for queue, DSN and SMTP client.

Each option is one field, and its row says all that is needed to pass it on: the name in the queue's JSON (`stored`), the parameter of MAIL
or RCPT with its value's form and the EHLO keyword the next server must offer, and whether a DSN about the message inherits it. A new
parameter is one field here and its parser in `smtpd/extensions`; queue rows, DSN subjects and the SMTP client take it from the row.

| field       | parameter          | relayed where offered | inherited by a DSN    | standard                       |
|-------------|--------------------|-----------------------|-----------------------|--------------------------------|
| body        | BODY               | 8BITMIME              | no                    | RFC 6152, RFC 3030             |
| smtputf8    | SMTPUTF8           | SMTPUTF8              | yes (RFC 6533 §4)     | RFC 6531                       |
| require_tls | REQUIRETLS         | REQUIRETLS            | yes (RFC 8689 §5)     | RFC 8689                       |
| ret         | RET                | DSN                   | no                    | RFC 3461 §4.3                  |
| envid       | ENVID              | DSN                   | no                    | RFC 3461 §4.4                  |
| release_at  | HOLDFOR, HOLDUNTIL | never: held here      | no                    | RFC 4865                       |
| notify      | NOTIFY             | DSN                   | no                    | RFC 3461 §4.1                  |
| orcpt       | ORCPT              | DSN                   | no                    | RFC 3461 §4.2                  |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar


class Form(Enum):
    """How a parameter's value is written; `protocol.smtp.client` has the encoder of each."""

    FLAG = "no value"
    WORD = "as it is"
    WORDS = "sorted, with commas"
    XTEXT = "xtext (RFC 3461 §4)"
    TYPED_ADDRESS = "type;xtext (RFC 3461 §4.2, RFC 6533 §3)"


@dataclass(frozen=True, slots=True)
class Option:
    """One row. `stored` "": not in the options' JSON; `parameter` "": not relayed. `extension` is an EHLO keyword."""

    stored: str
    parameter: str = ""
    extension: str = ""
    form: Form = Form.WORD
    on_dsn: bool = False


def option(default: Any, row: Option) -> Any:
    """A dataclass field with its row."""
    return field(default=default, metadata={"option": row})


@dataclass(frozen=True, slots=True)
class EnvelopeOptions:
    """Options of the whole message. `body` is "7BIT", "8BITMIME" or "BINARYMIME"; `ret` "FULL", "HDRS" or ""; `envid` decoded from
    xtext; `release_at` the UTC second before which the message is not delivered, 0 for at once."""

    body: str = option("7BIT", Option("body", "BODY", "8BITMIME"))
    smtputf8: bool = option(False, Option("utf8", "SMTPUTF8", "SMTPUTF8", Form.FLAG, on_dsn=True))
    require_tls: bool = option(False, Option("tls", "REQUIRETLS", "REQUIRETLS", Form.FLAG, on_dsn=True))
    ret: str = option("", Option("ret", "RET", "DSN"))
    envid: str = option("", Option("envid", "ENVID", "DSN", Form.XTEXT))
    release_at: int = option(0, Option(""))


@dataclass(frozen=True, slots=True)
class RecipientOptions:
    """Options of one recipient. `notify` holds NEVER, or some of SUCCESS, FAILURE and DELAY; None without the parameter. `orcpt` is
    "type;address" decoded from xtext, or ""."""

    notify: frozenset[str] | None = option(None, Option("notify", "NOTIFY", "DSN", Form.WORDS))
    orcpt: str = option("", Option("orcpt", "ORCPT", "DSN", Form.TYPED_ADDRESS))


NO_OPTIONS = EnvelopeOptions()
NO_RECIPIENT_OPTIONS = RecipientOptions()

Options = TypeVar("Options", EnvelopeOptions, RecipientOptions)


def given(options: EnvelopeOptions | RecipientOptions) -> Iterator[tuple[str, Option, Any]]:
    """Name, row and value of every option that differs from its default, in the order of the fields."""
    for one in fields(options):
        value = getattr(options, one.name)
        if value != one.default:
            yield one.name, one.metadata["option"], value


def encode_options(options: EnvelopeOptions | RecipientOptions) -> dict[str, Any]:
    """The options as a JSON object; defaults are left out."""
    return {row.stored: sorted(value) if row.form is Form.WORDS else value for _, row, value in given(options) if row.stored}


def parse_options(stored: Mapping[str, Any], kind: type[Options], **others: Any) -> Options:
    """The options as `encode_options` wrote them; `others` are those stored elsewhere. Unknown names are ignored."""
    values = dict(others)
    for one in fields(kind):
        row = one.metadata["option"]
        if row.stored in stored:
            value = stored[row.stored]
            values[one.name] = frozenset(value) if row.form is Form.WORDS else value
    return kind(**values)


def dsn_options(options: EnvelopeOptions) -> EnvelopeOptions:
    """The options of a DSN about a message with these."""
    return type(options)(**{name: value for name, row, value in given(options) if row.on_dsn})
