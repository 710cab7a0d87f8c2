"""Passkeys as they are stored: the credential records of Web Authentication."""

from dataclasses import dataclass, field

from appliance.mail.ids import AccountId

from .directory import Executes


@dataclass(frozen=True, slots=True)
class Passkey:
    """A row of `passkey`. `id`: one of the numbers of passwords; `name`: the owner's; `host`: the name of the server it works for;
    `credential`: the authenticator's identifier of it; `sign_count`: of the last use, 0 where the authenticator does not count."""

    id: int
    account: AccountId
    name: str
    host: str
    credential: bytes = field(repr=False)
    algorithm: int
    public_key: bytes = field(repr=False)
    sign_count: int
    made_at: int
    used_at: int | None = None


def read_passkeys(reads: Executes) -> dict[bytes, Passkey]:
    """Those of all accounts that may sign in, the oldest first, by credential identifier."""
    rows = reads.execute(
        "SELECT id, account, name, host, credential, algorithm, public_key, sign_count, made_at, used_at FROM passkey"
        " WHERE account NOT IN (SELECT id FROM account WHERE disabled OR removed_at IS NOT NULL) ORDER BY id"
    )
    return {
        bytes(credential): Passkey(number, AccountId(account), name, host, bytes(credential), algorithm, bytes(key), *rest)
        for number, account, name, host, credential, algorithm, key, *rest in rows
    }
