"""Search in the text of one message: its header, then its body part by part (RFC 9051 §6.4.4 BODY, TEXT, HEADER; RFC 8621 §4.4.1 text).

Sans I/O: the functions are generators that yield (offset, octets) of the message and are sent what stands there (shorter only at its
end). One definition of what is searched serves the scan on the event loop, the scan on a reader thread and the search index, so that
they cannot differ. Memory is bounded by HEADER_READ_OCTETS and a chunk; reading stops as soon as the result is known.
BODY matches the decoded text of text and message parts, TEXT all headers as well, those of parts included. ShownHas matches what a reader
sees: texts, of HTML without its markup, and some of the headers; the ENVELOPE of the message itself is not read here, who has it says so
as known facts.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Protocol

from .partmap import IDENTITY, binary_spans, single_part
from .preview import without_markup
from .query import ENVELOPE_FIELDS, BodyHas, HeaderHas, Query, ShownHas, TextHas, folded
from .text import Needles, PartText, field_texts, file_name, header_text, is_html, text_charset

HEADER_READ_OCTETS = 2**20
"""Of a message's or part's header, so much is searched: four times the largest real one."""
CHUNK_OCTETS = 256 * 2**10
"""Of a body read at once."""

HTML_CHARACTERS = 2**20
"""Of an HTML part, held and looked at for ShownHas."""

PLAIN_CHARSETS = frozenset(
    ("utf-8", "us-ascii", "ascii", "utf8", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1252")
)
"""ASCII octets are ASCII text in these."""

Reading = Generator[tuple[int, int], bytes, None]
Facts = Mapping[Query, bool]
"""Results of the leaves of a query for which the message was read."""
Decide = Callable[[Facts], "bool | None"]
"""The query's result from those facts; None: more of the message has to be read."""


class TextSink(Protocol):
    """Takes a message's texts in order."""

    satisfied: bool
    """Nothing more is wanted."""

    def part_header(self, block: bytes) -> None:
        """A part's header."""

    def text(self, text: str, *, html: bool) -> None:
        """Decoded text of a body; `html`: with markup."""

    def end(self) -> None:
        """What follows does not continue the text before it."""


def body_texts(parts: bytes, prefix_octets: int, header: bytes, sink: TextSink) -> Reading:
    """The texts behind the message's header; `parts` is its packed part map, `header` its own header."""
    charset, html = text_charset(header), is_html(header)
    for span in binary_spans(parts, ()) or ():
        if sink.satisfied:
            return
        at, end = span.start + prefix_octets, span.end + prefix_octets
        if span.header:
            block = yield at, min(end - at, HEADER_READ_OCTETS)
            charset, html = text_charset(block), is_html(block)
            sink.part_header(block)
        elif charset is not None:
            part = PartText(span.transfer, charset)
            while at < end and not sink.satisfied and (chunk := (yield at, min(end - at, CHUNK_OCTETS))):
                at += len(chunk)
                sink.text(part.feed(chunk), html=html)
            sink.text(part.finish(), html=html)
            charset = None  # what follows a body is no part until the next header
        sink.end()


def shown_text(block: bytes) -> str:
    """What a reader sees of a part's header: the name of a file, and of a message within the message its addresses and subject."""
    return "\n".join([*[text for name in ENVELOPE_FIELDS for text in field_texts(block, name)], file_name(block)])


def seen_text(html: Sequence[str]) -> str:
    """What a reader sees of HTML, on one line."""
    return " ".join(without_markup("".join(html)).split())


class TextQuery:
    """The leaves of a query that are decided by a message's text, with their needles folded once."""

    __slots__ = ("bodies", "body_octets", "fields", "shown", "text_octets", "texts")

    def __init__(self, leaves: Iterable[Query]) -> None:
        self.fields: dict[Query, tuple[str, str]] = {}
        self.texts: dict[Query, str] = {}
        self.bodies: dict[Query, str] = {}
        self.shown: dict[Query, str] = {}
        for leaf in leaves:
            if isinstance(leaf, HeaderHas):
                self.fields[leaf] = leaf.field, folded(leaf.needle)
            elif isinstance(leaf, TextHas):
                self.texts[leaf] = folded(leaf.needle)
            elif isinstance(leaf, BodyHas):
                self.bodies[leaf] = folded(leaf.needle)
            elif isinstance(leaf, ShownHas):
                self.shown[leaf] = folded(leaf.needle)
        self.body_octets = [(leaf, needle.encode("utf-8", "surrogatepass")) for leaf, needle in self.bodies.items()]
        self.text_octets = [(leaf, needle.encode("utf-8", "surrogatepass")) for leaf, needle in self.texts.items()]

    def matches(
        self, parts: bytes, prefix_octets: int, header_octets: int, decide: Decide, known: Facts
    ) -> Generator[tuple[int, int], bytes, bool]:
        """Read the message as far as `decide` needs; `known` are facts from elsewhere (the search index)."""
        header = yield 0, min(header_octets, HEADER_READ_OCTETS)
        facts = dict(known)
        self._decide_header(header, facts)
        answer = decide(facts)
        if answer is None:
            sink = _Searched(self._open(self.bodies, facts), self._open(self.texts, facts), self._open(self.shown, facts))
            yield from body_texts(parts, prefix_octets, header, sink)
            sink.decide(facts)
            answer = decide(facts)
        return bool(answer)

    def plain_facts(self, parts: bytes, prefix_octets: int, octets: bytes) -> dict[Query, bool] | None:
        """All facts of a message in memory that is one ASCII text, at half the cost of `matches`; None for any other and for other leaves.

        Its text is its octets, whatever ASCII's superset it is in, and no needle beyond ASCII is in it.
        """
        part = single_part(parts)
        if part is None or part.transfer != IDENTITY or self.fields or self.shown or not octets.isascii():
            return None
        start, end = prefix_octets + part.body_start, min(prefix_octets + part.end, prefix_octets + part.body_start + CHUNK_OCTETS)
        header = octets[:start]
        charset = text_charset(header)
        if b"=?" in header or (charset is not None and charset.lower() not in PLAIN_CHARSETS) or end < prefix_octets + part.end:
            return None
        body = octets[start:end].lower() if charset is not None else b""
        facts: dict[Query, bool] = {leaf: needle in body for leaf, needle in self.body_octets}
        if self.text_octets:
            head = header_text(header).lower().encode()
            facts.update((leaf, needle in head or needle in body) for leaf, needle in self.text_octets)
        return facts

    def _decide_header(self, header: bytes, facts: dict[Query, bool]) -> None:
        """Decide HeaderHas, and the others where the header already holds the needle."""
        for leaf, (field, needle) in self.fields.items():
            if leaf not in facts:
                facts[leaf] = any(needle in folded(value) for value in field_texts(header, field))
        wanted = self._open(self.texts, facts)
        if wanted:
            text = folded(header_text(header))
            facts.update((leaf, True) for leaf, needle in wanted.items() if needle in text)
        wanted = self._open(self.shown, facts)
        if wanted:
            text = folded(file_name(header))
            facts.update((leaf, True) for leaf, needle in wanted.items() if needle in text)

    @staticmethod
    def _open(needles: Mapping[Query, str], facts: Facts) -> dict[Query, str]:
        return {leaf: needle for leaf, needle in needles.items() if leaf not in facts}


class _Searched:
    """A TextSink that looks for needles: headers of parts are searched for TEXT, what readers see of them for ShownHas."""

    __slots__ = ("_all", "_bodies", "_html", "_places", "_shown", "_texts", "satisfied")

    def __init__(self, bodies: dict[Query, str], texts: dict[Query, str], shown: dict[Query, str]) -> None:
        self._bodies, self._texts, self._shown = (Needles(needles.values()) for needles in (bodies, texts, shown))
        self._all = (self._bodies, self._texts, self._shown)
        self._places = tuple(zip((bodies, texts, shown), self._all, strict=True))
        self._html: list[str] = []
        self.satisfied = False
        self.end()

    def part_header(self, block: bytes) -> None:
        if self._texts.missing:
            self._texts.feed(header_text(block))
        if self._shown.missing:
            self._shown.feed(shown_text(block))

    def text(self, text: str, *, html: bool) -> None:
        both = folded(text)
        self._bodies.feed_folded(both)
        self._texts.feed_folded(both)
        if not html:
            self._shown.feed_folded(both)
        elif self._shown.missing and sum(map(len, self._html)) < HTML_CHARACTERS:
            self._html.append(text)
        self._look()

    def end(self) -> None:
        if self._html:
            self._shown.feed(seen_text(self._html))
            self._html.clear()
        for needles in self._all:
            needles.reset()
        self._look()

    def _look(self) -> None:
        self.satisfied = not (self._bodies.missing or self._texts.missing or self._shown.missing)

    def decide(self, facts: dict[Query, bool]) -> None:
        for leaves, needles in self._places:
            facts.update((leaf, needle in needles.found) for leaf, needle in leaves.items())
