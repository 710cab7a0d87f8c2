"""What a search index holds of a message's text, and which terms of it a needle needs.

Invariant: where a scan (`message_search`) finds a needle, every term of `terms_of(needle)` is in the text that is indexed for the same
place, HEADER or BODY; so the messages with all terms are candidates, and none is missed. What ShownHas finds in headers of parts and in
HTML is in the text for BODY as well. Terms are three characters of folded text. A text ends with two line ends, so that even its last
character begins a term, and needles of one or two characters are beginnings of terms. `common_words` proves some needles without reading
the message again.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from .header import fields
from .message_search import HEADER_READ_OCTETS, body_texts, shown_text
from .preview import resolved, without_tags
from .query import folded
from .text import file_name, header_text

TEXT_CHARACTERS = 2**20
"""Of one place of a message; a message with more text is not indexed but scanned."""
TERM = 3
TERMS = 24
"""Terms looked up of one needle: those of its beginning and its end."""
WORDS = 400
WORD_CHARACTERS = 24
COMMON = 5
"""A word is common when one message in five has it."""
END = "\n\n"
FIELD_CHARACTERS = 300
"""A longer text of a field is not kept: the message is a candidate."""
SAMPLE = 100
"""Texts in which common words are looked for first, so that not every word of a batch is counted."""


@dataclass(frozen=True, slots=True)
class MessageIndexText:
    """Folded text of one message. `fields` are the texts of ENVELOPE_FIELDS as a search compares them, None where one is not kept;
    `shown` is what readers see of other headers and of HTML, `words` the text whose words both BODY and ShownHas
    find, "" where that is the body."""

    header: str
    body: str
    fields: "tuple[str | None, ...]" = ()
    shown: str = ""
    words: str = ""

    @property
    def characters(self) -> int:
        return len(self.header) + len(self.body) + len(self.shown) + len(self.words)


def indexable(text: str) -> str:
    """Folded text without characters that SQLite's tokenizer stops at or cannot take; needles are treated alike."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:  # a surrogate, from UTF-7 or the like
        text = text.encode("utf-8", "replace").decode()
    return text


def terms_of(needle: str) -> list[str]:
    """The terms a text with that needle has; a single shorter one is the beginning of a term. Empty for an empty needle."""
    text = indexable(folded(needle))
    if len(text) <= TERM:
        return [text] if text else []
    terms = list(dict.fromkeys([text[at : at + TERM] for at in range(len(text) - TERM + 1)]))
    return terms if len(terms) <= TERMS else terms[: TERMS // 2] + terms[-TERMS // 2 :]


def message_index_text(
    parts: bytes, prefix_octets: int, header_octets: int, described: Sequence[str]
) -> Generator[tuple[int, int], bytes, MessageIndexText | None]:
    """Read a message as `message_search` does; `described` are the texts of ENVELOPE_FIELDS in its ENVELOPE."""
    header = yield 0, min(header_octets, HEADER_READ_OCTETS)
    texts = _Collected()
    texts.header(header)
    if b"=?" in header or not header.isascii():  # a field may decode otherwise alone than among the others
        for field in fields(header):
            texts.header(header[field.value_start : field.end])
    texts.shown.append(folded(file_name(header)))  # what else a reader sees of it stands in the ENVELOPE
    envelope = [folded(text) for text in described]
    texts.headers += envelope
    yield from body_texts(parts, prefix_octets, header, texts)
    if texts.room < 0:
        return None
    kept = tuple([text if len(text) <= FIELD_CHARACTERS and text == indexable(text) else None for text in envelope])
    shown = "\n".join(filter(None, texts.shown))
    return MessageIndexText(
        header=indexable("\n".join(texts.headers) + END),
        body=indexable("".join(texts.bodies) + END),
        fields=kept,
        shown=shown and indexable(shown + END),
        words=indexable("".join(texts.words)) if texts.has_html else "",
    )


class _Collected:
    """A TextSink that keeps all."""

    __slots__ = ("_html", "bodies", "has_html", "headers", "room", "satisfied", "shown", "words")

    def __init__(self) -> None:
        self.headers: list[str] = []
        self.bodies: list[str] = []
        self.shown: list[str] = []
        self.words: list[str] = []
        self._html: list[str] = []
        self.has_html = False
        self.room = TEXT_CHARACTERS
        self.satisfied = False

    def header(self, block: bytes) -> None:
        self.headers.append(self._taken(folded(header_text(block))))

    def part_header(self, block: bytes) -> None:
        self.header(block)
        self.shown.append(self._taken(folded(shown_text(block))))

    def text(self, text: str, *, html: bool) -> None:
        self.bodies.append(self._taken(folded(text)))
        (self._html if html else self.words).append(text if html else self.bodies[-1])

    def end(self) -> None:
        if self._html and not self.satisfied:
            self.has_html = True
            bare = without_tags("".join(self._html))
            self.words.append(folded(bare))
            self.shown.append(folded(" ".join(resolved(bare).split())))
        self._html.clear()
        self.words.append("\n")
        self.bodies.append("\n")

    def _taken(self, text: str) -> str:
        self.room -= len(text)
        self.satisfied = self.room < 0
        return "" if self.satisfied else text


def read_from(octets: bytes, reading: "Generator[tuple[int, int], bytes, MessageIndexText | None]") -> MessageIndexText | None:
    """The result for a message that is in memory."""
    try:
        offset, size = next(reading)
        while True:
            offset, size = reading.send(octets[offset : offset + size])
    except StopIteration as end:
        result: MessageIndexText | None = end.value
        return result


def common_words(bodies: Sequence[str]) -> dict[str, list[int]]:
    """Words that many of the texts have, with the numbers of those: they prove every needle within them.

    A word is what stands between white space, so it is found where the text is scanned as well, but for entities of HTML.
    """
    counted: Counter[str] = Counter()
    sample = bodies[:: max(len(bodies) // SAMPLE, 1)]
    for body in sample:
        counted.update(set(body.split()))
    least = max(len(sample) // COMMON, 4)
    common = {word for word, count in counted.most_common(WORDS) if count >= least and len(word) <= WORD_CHARACTERS and "&" not in word}
    found: dict[str, list[int]] = {word: [] for word in sorted(common)}
    for number, body in enumerate(bodies):
        for word in common.intersection(body.split()):
            found[word].append(number)
    return found


Described = Callable[[bytes], Sequence[str]]
"""The texts of ENVELOPE_FIELDS in a stored ENVELOPE, as searches compare them before folding."""


def packed_numbers(numbers: Iterable[int]) -> bytes:
    """A set of small numbers as the bits of one integer."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
