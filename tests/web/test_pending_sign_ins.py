"""web/pending_sign_ins: bounded in number, time and tries, and ended once."""

from appliance.auth.identity import Identity
from appliance.mail.ids import AccountId
from appliance.web.pending_sign_ins import PENDING, PENDING_S, PendingSignIns

ADA = Identity(AccountId(1), "ada@home.example")


def test_they_end_by_time_tries_number_and_use() -> None:
    pending = PendingSignIns()
    secret = pending.add(ADA, "/own/", 10.0)
    found = pending.find(secret, 10.0 + PENDING_S - 1)
    assert found is not None and found.identity == ADA and found.place == "/own/"
    assert pending.find(secret, 10.0 + PENDING_S) is None and pending.find("", 0.0) is None and pending.find("other", 0.0) is None
    found.tries = 0
    assert pending.find(secret, 10.0) is None
    assert pending.end(secret) and not pending.end(secret)
    secrets = [pending.add(ADA, "", 0.0) for _ in range(PENDING + 1)]
    assert pending.find(secrets[0], 0.0) is None and all(pending.find(one, 0.0) for one in secrets[1:])
