"""Searches decided by the rows of `message`: SQL and a test of each row agree, whatever is nested."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.flags import bits_of
from appliance.mail.ids import Uid
from appliance.mail.query import And, BodyHas, Dated, DateKind, Everything, Flagged, Not, Or, Query, Size
from appliance.store.row_search import DAY_S, DEPTH, condition
from appliance.store.values import Want

from .server import ANN, a_server, deliver

LEAVES: tuple[Query, ...] = (
    Everything(), Flagged(1), Flagged(8), Flagged(9), Flagged(keyword="work"), Flagged(keyword="nowhere"), Size(20, None), Size(None, 40),
    Size(0, 2**40), Size(), Dated(DateKind.ARRIVED, 19_675, 19_676), Dated(DateKind.ARRIVED, None, 3), And(()), Or(()),
)  # fmt: skip
QUERIES: st.SearchStrategy[Query] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda some: And(tuple(some))),
        st.lists(inner, max_size=3).map(lambda some: Or(tuple(some))),
    ),
)


def holds(query: Query, flags: int, keywords: tuple[str, ...], octets: int, at: int) -> bool:
    match query:
        case And(terms):
            return all(holds(term, flags, keywords, octets, at) for term in terms)
        case Or(terms):
            return any(holds(term, flags, keywords, octets, at) for term in terms)
        case Not(term):
            return not holds(term, flags, keywords, octets, at)
        case Flagged(system, keyword):
            return keyword in keywords and bool(flags >> 5 + keywords.index(keyword) & 1) if keyword else flags & system == system
        case Size(above, below):
            return (above is None or octets > above) and (below is None or octets < below)
        case Dated(_, first, end):
            return (first is None or first <= at // DAY_S) and (end is None or at // DAY_S < end)
    return True


async def test_the_store_s_scan_equals_a_test_of_each_row(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for number in range(24):
            flags = tuple(name for bit, name in ((1, "\\Seen"), (2, "\\Deleted"), (4, "Work")) if number & bit)
            await deliver(store, flags=flags, octets=b"Subject: a\r\n\r\n" + b"x" * number + b"\r\n")
        box = await store.open(ANN, "INBOX")
        await box.remove([Uid(4), Uid(9)])
        rows = await box.rows(Uid(1), Uid(99), Want.DATES)
        keywords = tuple(name.lower() for name in box.keywords)
        queries: list[Query] = []

        @given(QUERIES)
        def collect(query: Query) -> None:
            queries.append(query)

        collect()
        assert len(rows) == 22
        for query in queries:
            answer = await box.uids_where(Uid(1), Uid(24), query)
            assert answer is not None
            expected = [row.uid for row in rows if holds(query, row.flags, keywords, row.octets, row.internal_at)]
            assert (list(answer[0]), answer[1], answer[2]) == (expected, 22, box.newest()), query
        box.close()


def test_a_query_that_needs_more_than_the_row_has_no_condition() -> None:
    assert condition(And((Flagged(1), BodyHas("x"))), ()) is None
    assert condition(Not(Or((BodyHas("x"),))), ()) is None
    assert condition(Dated(DateKind.SENT, 1, 2), ()) is None
    deep: Query = Flagged(1)
    for _ in range(DEPTH + 1):
        deep = Not(deep)
    assert condition(deep, ()) is None
    assert bits_of(("\\Seen",))[0] == 1
