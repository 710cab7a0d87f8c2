"""mbox: what was written comes back, real files fall apart where they should, and memory stays small."""

import io
import json
import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.store.mbox import MboxPlace, MboxWriter, arrived_at, chunks, flags_of, is_mbox, places
from tests.support.corpus import need_corpus as corpus


def messages(octets: bytes) -> list[bytes]:
    file = io.BytesIO(octets)
    return [b"".join(chunks(file, place)) for place in places(file)]


def written(*all_messages: bytes, step: int = 1 << 20) -> bytes:
    file = io.BytesIO()
    writer = MboxWriter(file)
    for message in all_messages:
        writer.begin(1_000_000_000)
        for at in range(0, len(message), step):
            writer.write(message[at : at + step])
        writer.end()
    return file.getvalue()


line = st.sampled_from(
    (b"", b"From ", b">From x", b">>From y", b"From a@b Sat Jan  1 00:00:00 2000", b"From -", b"Subject: a", b">", b"x\r", b"\rx", b"a\r\r")
)
message = st.lists(line, max_size=12).map(lambda lines: b"".join(one + b"\r\n" for one in lines))


@given(st.lists(message, max_size=6), st.integers(1, 40))
@example([b"From -\r\nA: b\r\n\r\n\r\n\r\n"], 3)
def test_what_was_written_comes_back(some: list[bytes], step: int) -> None:
    assert messages(written(*some, step=step)) == some


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_octets_come_back_but_for_lone_line_feeds_and_a_missing_last_end(octets: bytes, step: int) -> None:
    expected = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\r\r\n" not in octets else None
    if expected is not None:
        if expected and not expected.endswith(b"\n"):
            expected += b"\r\n"
        if expected.endswith(b"\r\r\n"):
            return
        assert messages(written(octets, step=step)) == [expected]


@given(st.binary(max_size=400))
@example(b"From \nFrom \n\nFrom -\n\n")
def test_any_file_can_be_read(octets: bytes) -> None:
    data = b"From a@b Sat Jan  1 00:00:00 2000\n" + octets
    file = io.BytesIO(data)
    found = list(places(file))
    assert found[0].begin <= found[0].end <= found[-1].after == len(data)
    for place in found:
        assert len(b"".join(chunks(file, place))) >= place.end - place.begin - data.count(b">From ")


def test_separators() -> None:
    assert messages(b"From a Sat Jan  1 00:00:00 2000\nA: 1\n\nFrom here on 12:30 in 2004 all was well\n") == [
        b"A: 1\r\n\r\nFrom here on 12:30 in 2004 all was well\r\n"
    ]
    assert messages(b"From -\nA: 1\n\nFrom Russia with love\nYear: 1963\n\nFrom -\nA: 2\n\nb") == [
        b"A: 1\r\n\r\nFrom Russia with love\r\nYear: 1963\r\n", b"A: 2\r\n\r\nb",
    ]  # fmt: skip
    assert messages(b"From 184@xxx\nA: 1\n\nx\n\nFrom 185@xxx\nA: 2\n") == [b"A: 1\r\n\r\nx\r\n", b"A: 2\r\n"]
    assert messages(b"From a Sat Jan  1 00:00:00 2000\n\nFrom a Sat Jan  1 00:00:01 2000\n\n") == [b"", b""]
    assert messages(b"From a Sat Jan  1 00:00:00 2000\nContent-Length: 99\n\nx\n\nFrom b Sat Jan  1 00:00:00 2000\nB: 1\n") == [
        b"Content-Length: 99\r\n\r\nx\r\n", b"B: 1\r\n",
    ]  # fmt: skip


PATCH = b"From " + b"0123456789abcdef" * 2 + b"01234567 Mon Sep 17 00:00:00 2001\nFrom: Dev <d@x.example>\nSubject: [PATCH] a\n\ndiff\n"
ONE, TWO = b"From a@b Sat Jan  1 00:00:00 2000\n", b"From c@d Sun Jan  2 00:00:00 2000\n"


def lines(octets: bytes) -> bytes:
    return octets.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("patch", [PATCH, PATCH.replace(b" Mon", b"0" * 24 + b" Mon")])
def test_a_git_patch_in_a_body_separates_nothing(patch: bytes, end: bytes) -> None:
    first = b"Subject: see the patch\n\nHere it is:\n\n" + patch + b"\n" + patch
    data = ONE + first + b"\n" + TWO + b"B: 2\n"
    assert messages(data.replace(b"\n", end)) == [lines(first), b"B: 2\r\n"]


def test_a_patch_series_is_an_mbox() -> None:
    message = PATCH.partition(b"\n")[2]
    assert messages(PATCH + b"\n" + PATCH) == [lines(message)] * 2


def test_a_bare_from_line_before_a_header_separates() -> None:
    bare = b"From \nSubject: 1\nDate: x\n\nbody\n\n"
    assert messages(bare + bare) == [b"Subject: 1\r\nDate: x\r\n\r\nbody\r\n"] * 2
    assert messages(ONE + b"A: 1\n\nx\n\n" + bare) == [b"A: 1\r\n\r\nx\r\n", b"Subject: 1\r\nDate: x\r\n\r\nbody\r\n"]
    assert len(messages(lines(bare + bare))) == 2


@pytest.mark.parametrize("text", [b"\nFrom \nhere on.\n", b"\nFrom \nNote: nothing\n", b"x\nFrom \nSubject: a\n", b"\nFrom \n\n\nx\n"])
def test_a_bare_from_line_in_text_does_not(text: bytes) -> None:
    assert messages(ONE + b"A: 1\n\nx\n" + text) == [b"A: 1\r\n\r\nx\r\n" + lines(text).removesuffix(b"\r\n" * text.endswith(b"\n\n"))]


def test_a_word_separates_where_the_file_begins_so() -> None:
    data = b"From ann\nDate: 1\n\nx\n\nFrom ben\nDate: 2\n\ny\n"
    assert messages(data) == [b"Date: 1\r\n\r\nx\r\n", b"Date: 2\r\n\r\ny\r\n"]
    assert len(messages(ONE + b"A: 1\n\nx\n\nFrom ben\nDate: 2\n\ny\n")) == 1


def test_a_separator_without_a_blank_line_needs_a_real_header() -> None:
    assert messages(ONE + b"A: 1\n\nx\n" + TWO + b"Received: 2\n") == [b"A: 1\r\n\r\nx\r\n", b"Received: 2\r\n"]
    reported = b"A: 1\n\nHe wrote\n" + TWO + b"note: this is no header\n"
    assert messages(ONE + reported) == [lines(reported)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_quoted_from_stays_in_a_header_and_leaves_a_body(end: bytes) -> None:
    message = b">From ann remote from x\nSubject: a\n>From - b\n\n>From here\n>>From there\n> From me\n"
    expected = b">From ann remote from x\r\nSubject: a\r\n>From - b\r\n\r\nFrom here\r\n>From there\r\n> From me\r\n"
    assert messages((ONE + message).replace(b"\n", end)) == [expected]


def test_a_long_header_is_a_header_to_its_end() -> None:
    header = b"X-Long: " + b"y" * 200_000 + b"\n" + b"X: 1\n>From a\n" * 20_000
    assert messages(ONE + header + b"\n>From b\n") == [lines(header) + b"\r\nFrom b\r\n"]


def test_a_writer_that_quotes_nothing_is_not_unquoted() -> None:
    message = b"A: 1\n\nx\n\nFrom here on all is well\n>From them\n"
    assert messages(ONE + message + b"\n" + ONE + b"B: 2\n\n>From us\n") == [lines(message), b"B: 2\r\n\r\nFrom us\r\n"]


def counted(message: bytes, more: int = 0) -> bytes:
    header, _, body = message.partition(b"\n\n")
    return b"%b\nContent-Length: %d\n\n%b" % (header, len(body) + more, body)


def test_a_right_content_length_is_believed() -> None:
    first = counted(b"A: 1\n\nforwarded:\n\n" + TWO + b"Received: x\nSubject: inside\n\n>From me\n")
    second = counted(b"B: 2\n\nlast\n")
    assert messages(ONE + first + b"\n" + TWO + second + b"\n") == [lines(first), lines(second)]


@pytest.mark.parametrize("more", [-3, -1, 1, 7, 10**9])
def test_a_wrong_content_length_is_not(more: int) -> None:
    first, second = counted(b"A: 1\n\nx y z\n", more), b"B: 2\n\nb\n"
    assert messages(ONE + first + b"\n" + TWO + second) == [lines(first), lines(second)]


def test_two_lengths_are_none() -> None:
    inner = b"one\n\n" + TWO + b"Received: x\n\ny\n"
    first = b"A: 1\nContent-Length: %d\nContent-Length: 4\n\n%b" % (len(inner), inner)
    assert len(messages(ONE + first)) == 2


@pytest.mark.parametrize("octets", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_nothing_in_it(octets: bytes) -> None:
    assert is_mbox(io.BytesIO(octets))
    assert messages(octets) == []


def test_no_mbox() -> None:
    assert not is_mbox(io.BytesIO(b"Subject: x\n"))
    with pytest.raises(ValueError, match="no message begins"):
        messages(b"Subject: x\n")
    with pytest.raises(ValueError, match="no message begins at octet 3"):
        list(places(io.BytesIO(b"From -\nA: 1\n"), 3))


@pytest.mark.parametrize("octets", [b"", b"From -\nA: 1\n"])
def test_a_file_that_was_begun_anew(octets: bytes) -> None:
    """As mail programs do when they move old messages away: what is in it now is not what was read."""
    with pytest.raises(ValueError, match=f"ends at octet {len(octets)}"):
        list(places(io.BytesIO(octets), 100))
    assert list(places(io.BytesIO(octets), len(octets))) == []


def test_going_on_at_a_position() -> None:
    data = written(b"A: 1\r\n", b"A: 2\r\n", b"A: 3\r\n")
    file = io.BytesIO(data)
    every = list(places(file))
    for done, place in enumerate(every, 1):
        assert list(places(file, place.after)) == every[done:]


def test_dates() -> None:
    assert arrived_at(b"From a@b Sun Sep  9 01:46:40 2001\n") == 1_000_000_000
    assert arrived_at(b"From a@b Sun Sep  9 01:46:40 UTC 2001\n") == 1_000_000_000
    assert arrived_at(b"From 1999 Sun Sep  9 01:46 2001\n") == 999_999_960
    assert arrived_at(b"From -\n") == 0
    assert arrived_at(b"From a@b Sun Foo 99 01:46:40 2001\n") == 0


def test_flags() -> None:
    def of(header: bytes) -> tuple[str, ...]:
        file = io.BytesIO(header)
        return flags_of(file, MboxPlace(0, len(header), len(header), 0))

    assert of(b"Status: RO\nX-Status: AF\n\nStatus: D\n") == ("\\Answered", "\\Flagged", "\\Seen")
    assert of(b"X-Mozilla-Status: 0009\r\n\r\n") == ("\\Deleted", "\\Seen")
    assert of(b"Subject: Status: R\nStatus: \n\n") == ()


def test_memory_stays_small() -> None:
    big = b"From -\nA: b\n\n" + b"x" * (8 << 20) + b"\n" + b"y\n" * (4 << 20)
    file = io.BytesIO(big)
    tracemalloc.start()
    try:
        assert sum(len(chunk) for place in places(file) for chunk in chunks(file, place)) > len(big)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


REAL = {
    "mbox/mimekit/content-length.mbox.txt": 29, "mbox/mimekit/simple.mbox.txt": 3, "mbox/mimekit/unmunged.mbox.txt": 2,
    "mbox/mimekit/issue1189.mbox.txt": 4, "mbox/mox/importtest.mbox": 2, "mbox/mox/imaptest/imaptest.mbox": 48,
    "mbox/mime4j/mbox-example/mbox.rlug": 5, "mbox/mime4j/test-1/mbox.rlug": 5, "bounces/sisimai-mbox/mbox-0": 37,
    "bounces/sisimai-mbox/mbox-1": 1, "bounces/sisimai-mbox/size-0": 0,
    "bulk/easy-ham-1.mbox": 2000, "bulk/spam-1.mbox": 499,
}  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_real_files(name: str) -> None:
    with (corpus() / name).open("rb") as file:
        assert sum(1 for _ in places(file)) == REAL[name]


@pytest.mark.corpus
@pytest.mark.parametrize("dos", [False, True])
@pytest.mark.parametrize("name", ["content-length", "issue1189"])
def test_offsets_of_real_files(name: str, dos: bool) -> None:
    data = (corpus() / f"mbox/mimekit/{name}.mbox.txt").read_bytes()
    if dos:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    reported = json.loads((corpus() / f"mbox/mimekit/{name}.{'dos' if dos else 'unix'}-offsets.json").read_text())
    found = list(places(io.BytesIO(data)))
    assert [place.begin for place in found] == [one["beginOffset"] for one in reported]
    # MimeKit takes the line end before a separator away even where no blank line stands there
    newline = 2 if dos else 1
    for place, one in zip(found, reported, strict=True):
        assert place.end in (one["endOffset"], one["endOffset"] + newline, one["endOffset"] - newline)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["easy-ham-1", "spam-1"])
def test_bulk_messages_by_their_index(name: str) -> None:
    index = [json.loads(row) for row in (corpus() / f"bulk/{name}.idx.jsonl").read_text().splitlines()]
    data = (corpus() / f"bulk/{name}.mbox").read_bytes()
    with (corpus() / f"bulk/{name}.mbox").open("rb") as file:
        for place, row in zip(places(file), index, strict=True):
            slice_ = data[row["offset"] : row["offset"] + row["length"]]
            assert place.begin == row["offset"]
            assert b"".join(chunks(file, place)) in (crlf(slice_), crlf(slice_.removesuffix(b"\n")))


def crlf(octets: bytes) -> bytes:
    octets = re.sub(rb"(?m)^>(>*From )", rb"\1", octets)
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
