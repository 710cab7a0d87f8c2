"""Candidates and certain matches of a query from those of its leaves: never too few candidates, never too many certain ones."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.query import And, BodyHas, Everything, Flagged, Not, Or, Query
from appliance.store.search_found import Hits, TextHits

ALL = frozenset(range(16))
LEAVES = tuple(BodyHas(word) for word in "abcd")
IDS = st.frozensets(st.integers(0, 15))
QUERIES: st.SearchStrategy[Query] = st.recursive(
    st.sampled_from((*LEAVES, Flagged(1), Everything())),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda some: And(tuple(some))),
        st.lists(inner, max_size=3).map(lambda some: Or(tuple(some))),
    ),
)


def matching(query: Query, truth: dict[Query, frozenset[int]]) -> frozenset[int]:
    match query:
        case And(terms):
            return ALL.intersection(*[matching(term, truth) for term in terms])
        case Or(terms):
            return frozenset[int]().union(*[matching(term, truth) for term in terms])
        case Not(term):
            return ALL - matching(term, truth)
    return truth.get(query, ALL)


@given(QUERIES, st.lists(IDS, min_size=5, max_size=5), st.lists(IDS, min_size=4, max_size=4), st.lists(IDS, min_size=4, max_size=4))
def test_bounds_hold(query: Query, true: list[frozenset[int]], more: list[frozenset[int]], less: list[frozenset[int]]) -> None:
    truth: dict[Query, frozenset[int]] = dict(zip((*LEAVES, Flagged(1)), true, strict=True))
    hits: dict[Query, Hits | None] = {
        leaf: Hits(truth[leaf] | extra, truth[leaf] - missing) for leaf, extra, missing in zip(LEAVES[:3], more, less, strict=False)
    }
    found = TextHits(((0, 15),), {**hits, LEAVES[3]: None})
    exact = matching(query, truth)
    candidates = found.candidates(query)
    assert candidates is None or exact <= candidates
    assert found.certain(query) <= exact
