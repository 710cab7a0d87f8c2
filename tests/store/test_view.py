"""A client that applies every response of the view holds what the mailbox holds."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.ids import ModSeq, Uid
from appliance.store.values import Changes
from appliance.store.view import SequenceView, runs, without


def changed(modseq: int, uid_next: int, flags: list[int] | None = None, expunged: list[int] | None = None) -> Changes:
    return Changes(ModSeq(modseq), Uid(uid_next), [(Uid(u), 0, ModSeq(modseq)) for u in flags or []], [Uid(u) for u in expunged or []], ())


def test_numbers_and_uids() -> None:
    view = SequenceView(array("I", [3, 7, 9]), ModSeq(1), 10)
    assert [view.seq_of(u) for u in (1, 3, 7, 8, 9, 10)] == [0, 1, 2, 0, 3, 0]
    assert [view.uid_of(n) for n in (1, 2, 3)] == [3, 7, 9]
    assert list(view.between(4, 9)) == [7, 9]
    for wrong in (0, -1, 4):
        with pytest.raises(IndexError):
            view.uid_of(wrong)


def test_expunge_numbers_count_down_as_they_are_sent() -> None:
    view = SequenceView(array("I", [1, 2, 3, 4, 5]), ModSeq(1), 6)
    view.apply(changed(2, 6, expunged=[1, 3, 5]))
    assert len(view) == 5
    assert view.expunge() == [1, 2, 3]
    assert list(view.uids) == [2, 4]
    assert view.expunge() == []


def test_the_shared_array_is_never_changed() -> None:
    shared = array("I", [1, 2])
    view = SequenceView(shared, ModSeq(1), 3)
    view.apply(changed(2, 5, flags=[3, 4]))
    view.apply(changed(3, 5, expunged=[1]))
    view.expunge()
    assert list(shared) == [1, 2]
    assert list(view.uids) == [2, 3, 4]
    newer = array("I", [2, 3, 4])
    view.share(newer, ModSeq(2))
    assert view.uids is not newer
    view.share(newer, ModSeq(3))
    assert view.uids is newer


def test_old_news_is_no_news() -> None:
    view = SequenceView(array("I", [1, 2]), ModSeq(5), 3)
    assert view.apply(changed(5, 3, flags=[1], expunged=[2])) == []
    assert view.expunge() == []


steps = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 60), max_size=50), st.booleans()), max_size=20)


@given(steps)
def test_a_client_follows(steps: list[tuple[int, set[int], bool]]) -> None:
    truth = list(range(1, 21))
    view = SequenceView(array("I", truth), ModSeq(1), 21)
    client, uid_next = list(truth), 21
    for modseq, (arrive, leave, may_expunge) in enumerate(steps, 2):
        new = list(range(uid_next, uid_next + arrive))
        uid_next += arrive
        gone = [u for u in truth if u in leave]
        truth = [u for u in truth + new if u not in leave]
        stay, go = [u for u in new if u not in leave], [u for u in new if u in leave]
        reported = view.apply(changed(modseq, uid_next, flags=stay, expunged=gone + go))
        client += [row[0] for row in reported]
        if may_expunge:
            for number in view.expunge():
                del client[number - 1]
            assert client == truth == list(view.uids)
        assert client == list(view.uids)


@given(st.sets(st.integers(1, 200)), st.sets(st.integers(1, 200)))
def test_without_and_runs(have: set[int], gone: set[int]) -> None:
    uids = array("I", sorted(have))
    assert list(without(uids, gone)) == sorted(have - gone)
    assert [u for first, last in runs(uids) for u in range(first, last + 1)] == sorted(have)
    assert all(later > last + 1 for (_, last), (later, _) in zip(runs(uids), runs(uids)[1:], strict=False))
