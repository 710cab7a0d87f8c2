"""Server-Sent Events on the wire (WHATWG HTML §9.2): events with a type, an id and data of any number of lines."""

MEDIA_TYPE = "text/event-stream"
COMMENT = b":\n\n"
"""Nothing to say, and the connection is alive."""


def encode_event(data: str, *, event: str = "", id: str = "") -> bytes:
    """One event. `event` and `id` are single lines."""
    lines = [f"event: {event}"] if event else []
    if id:
        lines.append(f"id: {id}")
    lines += [f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return ("\n".join(lines) + "\n\n").encode()
