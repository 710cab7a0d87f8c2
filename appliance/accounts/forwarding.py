"""Forwarding: another address that gets an account's messages, with or without a copy that stays.

| state     | row                        | leaves it by                                                                         |
|-----------|----------------------------|--------------------------------------------------------------------------------------|
| none      | -                          | `ask` -> asked                                                                       |
| asked     | confirmed 0, a code's hash | the code -> on, in the place of the one before; `TRIES` wrong ones, a day, `stop` -> gone |
| on        | confirmed 1                | `stop` -> none; another one that is confirmed                                        |

The code is in a message to the new address: nobody forwards mail to an address whose owner does not want it, and a typing error leads
nowhere. An account's forwarding is applied once and never to what another account forwards, so it cannot loop here; that a message comes
back from elsewhere is noticed by its Delivered-To (`smtpd/transaction`). The rows are written inside the caller's commit.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from appliance.database.writer import Transaction
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId
from appliance.mail.sentence import Sentence

from .directory import Account, Directory, DirectoryTables, Executes
from .domains import read_address

CODE_DIGITS = 8
TRIES = 5
VALID_S = 86_400
AGAIN_S = 60
"""Between two messages with a code: nobody is flooded with them."""


@dataclass(frozen=True, slots=True)
class ForwardingState:
    """Addresses, or "" for none. `keep`: a copy stays in the account."""

    target: str = ""
    keep: bool = True
    asked: str = ""
    asked_keep: bool = True


def state_of(reads: Executes, account: AccountId) -> ForwardingState:
    found = {
        confirmed: (target, bool(keep))
        for target, keep, confirmed in reads.execute("SELECT target, keep, confirmed FROM forwarding WHERE account = ?", (account,))
    }
    return ForwardingState(*found.get(1, ("", True)), *found.get(0, ("", True)))


def ask(transaction: Transaction, tables: DirectoryTables, account: Account, target: str, *, keep: bool, now_at: int) -> tuple[str, str]:
    """(the address as it is written, the code to send there). Raises SetupError."""
    address = read_address(target)
    directory = Directory(tables)
    if address.domain in tables.domains:
        found = directory.resolve(address)
        if not found.known:
            raise SetupError(Sentence("There is no address %(address)s here.", address=str(address)), "Check the spelling.")
        if account.id in found.accounts:
            raise SetupError("Messages to this address come here already.", "Choose another one.")
    row = transaction.execute("SELECT asked_at FROM forwarding WHERE account = ? AND confirmed = 0", (account.id,)).fetchone()
    if row is not None and 0 <= now_at - row[0] < AGAIN_S:
        raise too_soon()
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    transaction.execute(
        "INSERT OR REPLACE INTO forwarding(account, confirmed, target, keep, code, asked_at) VALUES (?, 0, ?, ?, ?, ?)",
        (account.id, str(address), int(keep), _digest(account.id, code), now_at),
    )
    return str(address), code


def confirm(transaction: Transaction, account: AccountId, code: str, now_at: int) -> str:
    """The address that is on now; "" for a wrong code, which counts in the same commit."""
    row = transaction.execute(
        "SELECT target, code, asked_at, tries FROM forwarding WHERE account = ? AND confirmed = 0", (account,)
    ).fetchone()
    if row is None:
        return ""
    target, digest, asked_at, tries = row
    given = "".join(code.split())
    if not 0 <= now_at - asked_at <= VALID_S or not hmac.compare_digest(digest, _digest(account, given)):
        if tries + 1 >= TRIES:
            transaction.execute("DELETE FROM forwarding WHERE account = ? AND confirmed = 0", (account,))
        else:
            transaction.execute("UPDATE forwarding SET tries = tries + 1 WHERE account = ? AND confirmed = 0", (account,))
        return ""
    transaction.execute("DELETE FROM forwarding WHERE account = ? AND confirmed = 1", (account,))
    transaction.execute("UPDATE forwarding SET confirmed = 1, code = NULL, tries = 0 WHERE account = ? AND confirmed = 0", (account,))
    return str(target)


def stop(transaction: Transaction, account: AccountId) -> str:
    """Neither on nor asked any more; the address that was on, or ""."""
    row = transaction.execute("SELECT target FROM forwarding WHERE account = ? ORDER BY confirmed DESC LIMIT 1", (account,)).fetchone()
    transaction.execute("DELETE FROM forwarding WHERE account = ?", (account,))
    return str(row[0]) if row else ""


def stop_asking(transaction: Transaction, account: AccountId) -> None:
    """The message with the code could not be sent."""
    transaction.execute("DELETE FROM forwarding WHERE account = ? AND confirmed = 0", (account,))


def too_soon() -> SetupError:
    return SetupError("A code was sent a moment ago.", "Wait a minute, then try again.")


def _digest(account: AccountId, code: str) -> bytes:
    return hashlib.sha256(f"{account} {code}".encode()).digest()
