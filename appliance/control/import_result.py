"""The result of an import in words: the response at its end, and the error that stopped it."""

from appliance.mail.errors import StoreError, Trouble

from .requests import Response


def import_response(taken: int, left_out: int) -> Response:
    rest = f" {_messages(left_out)} left out: too large, or could not be read to the end." if left_out else ""
    return Response(f"{_messages(taken)} imported.{rest}", {"imported": taken, "left_out": left_out})


def import_stopped(refusal: StoreError, stored: int, address: str) -> StoreError:
    """The error that ended an import, with how much was stored and how to go on."""
    reasons = {
        Trouble.OVER_QUOTA: f"The mailbox of {address} is full",
        Trouble.FULL: "The storage is full",
        Trouble.BUSY: "The server is receiving too much at once",
    }
    reason = reasons.get(refusal.trouble, f"The server could not go on ({refusal})")
    return StoreError(
        refusal.trouble,
        f"{reason}: {_messages(stored)} imported, the rest not. Make room, then give the same command again: it continues where it stopped",
    )


def _messages(count: int) -> str:
    return f"{count} message was" if count == 1 else f"{count} messages were"
