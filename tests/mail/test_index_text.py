"""Index terms: every term of a needle is in the text wherever the needle is; common words prove what they hold."""

import random
from collections.abc import Generator

from hypothesis import given
from hypothesis import strategies as st

from appliance.mail import index_text
from appliance.mail.index_text import END, TERM, TERMS, MessageIndexText, common_words, indexable, message_index_text, read_from, terms_of
from appliance.mail.query import folded
from appliance.protocol.imap.bodystructure import make_describe
from appliance.protocol.imap.envelope_fields import searched_texts
from appliance.store.body_readers import header_octets

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # surrogates and NUL as well
SCRIPTS = st.text(st.sampled_from("aAßſéÉ\u0301\u0323ﬁ½İı東京한ไทยعא🎉\0\ud800\ufffe ."), max_size=20)


@given(st.one_of(ANY_TEXT, SCRIPTS), st.one_of(ANY_TEXT, SCRIPTS), st.one_of(ANY_TEXT, SCRIPTS))
def test_a_needle_s_terms_are_in_the_text_that_has_it(before: str, needle: str, after: str) -> None:
    text = folded(before) + folded(needle) + folded(after)
    stored = indexable(text + END)
    stored.encode()
    terms = terms_of(needle)
    assert bool(terms) == bool(folded(needle))
    assert len(terms) <= TERMS
    if terms and len(terms[0]) < TERM:
        assert any(stored[at : at + TERM].startswith(terms[0]) for at in range(len(stored) - TERM + 1))
    else:
        assert all(term in stored and len(term) == TERM for term in terms)


def test_a_long_needle_is_looked_up_by_its_ends() -> None:
    needle = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    assert len(terms_of(needle)) == TERMS
    assert terms_of(needle)[-1] == needle[-3:]
    assert terms_of("aaaaaaaa") == ["aaa"]


def text_of(octets: bytes, prefix: bytes = b"") -> MessageIndexText | None:
    scanner = make_describe()
    scanner.feed(octets)
    found = scanner.finish(prefix)
    reading: Generator[tuple[int, int], bytes, MessageIndexText | None] = message_index_text(
        found.parts, len(prefix), len(prefix) + header_octets(found.parts), searched_texts(found.envelope)
    )
    return read_from(prefix + octets, reading)


def test_what_of_a_message_is_indexed() -> None:
    found = text_of(
        b'Subject: =?utf-8?Q?=C3=84pfel?=\r\nFrom: "B\\"C, D" <x@y.example>\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n'
        b"--z\r\n\r\nOne\r\n--z\r\nContent-Type: image/png; name=Pic.png\r\n\r\nhidden\r\n"
        b"--z\r\nContent-Type: text/plain\r\n\r\nTwo\r\n--z--\r\n",
        b"Return-Path: <R@p.example>\r\n",
    )
    assert found is not None
    assert found.fields == ('b"c, d <x@y.example>', "", "", "", folded("Äpfel"))
    assert all(word in found.header for word in ("r@p.example", "pic.png", folded("Äpfel"), 'b"c, d <x@y'))
    assert ("one" in found.body, "two" in found.body, "hidden" in found.body, "pic.png" in found.body) == (True, True, False, False)
    assert found.shown == f"pic.png{END}" and not found.words
    assert found.header.endswith(END)
    assert found.body.endswith(END)


def test_html_is_indexed_as_it_stands_and_as_a_reader_sees_it() -> None:
    found = text_of(
        b"Content-Type: text/html\r\n\r\n<style>p{color:red}</style><p class=Nice>Gr&uuml;n <b>ap</b>ple<br>One&nbsp;two\r\nthree\r\n"
    )
    assert found is not None
    assert "class=nice" in found.body and "&uuml;" in found.body
    assert found.shown == folded("grün ap ple one two three") + END
    assert found.words.split() == ["gr&uuml;n", "ap", "ple", "one&nbsp;two", "three"], "each without an entity is in both"


def test_long_fields_and_long_messages() -> None:
    long = text_of(b"Subject: " + b"word " * 200 + b"\r\n\r\nx\r\n")
    assert long is not None
    assert long.fields[4] is None
    assert text_of(b"Subject: s\r\n\r\n" + b"some text\r\n" * (index_text.TEXT_CHARACTERS // 10)) is None


def test_common_words_are_in_the_texts_they_are_said_to_be_in() -> None:
    chance = random.Random(4)
    vocabulary = [f"w{number}" for number in range(60)] + ["x" * 40]
    bodies = [" ".join(chance.choices(vocabulary, [1 / (n + 1) for n in range(61)], k=40)) for _ in range(300)]
    words = common_words(bodies)
    assert {"w0", "w1", "w2"} <= set(words)
    assert len(words) < 60
    assert all(set(numbers) == {n for n, body in enumerate(bodies) if word in body.split()} for word, numbers in words.items())
    assert common_words([]) == {}
