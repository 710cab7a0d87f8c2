"""Codes of the admin API that pages show as words: states, outcomes, events. A page says `_(code)`; here is what has a translation."""

from appliance.mail.sentence import Sentence

WORDS = (
    # a DNS record, and a port that was tried
    Sentence("right"), Sentence("wrong"), Sentence("missing"), Sentence("unknown"), Sentence("open"), Sentence("closed"),
    Sentence("blocked"),
    Sentence("outbound"), Sentence("relay"),
    # the outcome of a delivery attempt
    Sentence("sent"), Sentence("delayed"), Sentence("failed"),
    # events of a message's history (`queue/history`)
    Sentence("accepted"), Sentence("deferred"), Sentence("bounced"), Sentence("expired"), Sentence("held"), Sentence("released"),
    Sentence("retried"), Sentence("rerouted"), Sentence("cancelled"),
)  # fmt: skip
