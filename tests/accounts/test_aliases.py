"""Expansion of aliases ends, whatever they name."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.accounts.aliases import EXPANSIONS, expand, leads_back

graphs = st.dictionaries(st.integers(0, 12).map(str), st.lists(st.integers(0, 15).map(str), min_size=1, max_size=4), max_size=10)


@given(graphs)
def test_expansion_is_reachability(graph: dict[str, list[str]]) -> None:
    def targets(name: str) -> tuple[str, ...]:
        return tuple(graph.get(name, ()))

    reached, edge = {"0"}, ["0"]
    while edge:
        for target in targets(edge.pop()):
            if target not in reached:
                reached.add(target)
                edge.append(target)
    ends = expand("0", targets)
    assert sorted(ends) == sorted(name for name in reached if name not in graph)
    for name in reached:
        assert leads_back(name, "0", targets)


def test_a_bomb_is_bounded() -> None:
    assert len(expand("0", lambda name: tuple(f"{name}.{number}" for number in range(10)) if len(name) < 20 else ())) <= 10 * EXPANSIONS
