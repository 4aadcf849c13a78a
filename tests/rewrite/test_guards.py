"""Choices by size: what is asked, answered, assumed and recorded."""

import pytest

from symvi.expr.dims import dim
from symvi.rewrite.guard import Decisions, Guard, ask, deciding, known_sizes, open_decisions, typical_sizes

N, M, K = dim("N"), dim("M"), dim("K", 10)
FEW = Guard(4 * M, N)


def texts(decisions):
    return [str(guard) for guard in decisions.taken]


def test_a_guard_at_sizes():
    assert FEW.at({"M": 2, "N": 9}) is True and FEW.at({"M": 2, "N": 8}) is False
    assert FEW.at({"M": 2}) is None and FEW.known is None
    assert Guard(K, K + 1).known is True and Guard(K, 2 * M).at({"M": 5}) is False
    for n in range(20):
        assert FEW.at({"M": 2, "N": n}) is not FEW.negated().at({"M": 2, "N": n})


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [(FEW, Guard(M, N)), (FEW, Guard(3 * M, N + 2)), (Guard(M * N, K * N), Guard(M * N, K * N + M)), (Guard(M + 4, N), Guard(M, N))],
)
def test_implication(stronger, weaker):
    assert stronger.implies(weaker) and not weaker.implies(stronger)
    assert not stronger.implies(stronger.negated())


def test_nothing_open_assumes_and_records_nothing():
    assert open_decisions() is None and ask(FEW) and not known_sizes()


def test_sizes_decide_and_both_answers_are_recorded():
    for n, said, recorded in ((9, True, "4*M < N"), (8, False, "N < 4*M + 1")):
        with deciding(Decisions(sizes={"M": 2, "N": n})) as decisions:
            assert known_sizes() == {"M": 2, "N": n}
            assert ask(FEW) is said
        assert texts(decisions) == [recorded]


def test_a_size_that_the_model_fixes_needs_no_guard():
    with deciding(Decisions()) as decisions:
        assert ask(Guard(K, K + 1)) and not ask(Guard(K, K))
    assert decisions.taken == []


def test_without_sizes_guards_are_assumed_but_never_against_each_other():
    with deciding(Decisions(sizes={"M": 2})) as decisions:
        assert ask(FEW) and ask(Guard(M, N))
        assert not ask(Guard(4 * N, M)) and not ask(Guard(N, M))
        assert not ask(Guard(2 * N, N)), "holds at no size"
    assert texts(decisions) == ["4*M < N"], "what follows is not said again"


def test_a_stronger_guard_replaces_the_weaker_ones():
    with deciding(Decisions()) as decisions:
        assert ask(Guard(M, N)) and ask(Guard(M, K)) and ask(FEW)
    assert texts(decisions) == ["M < K", "4*M < N"]


def test_a_failed_attempt_relies_on_nothing_but_on_what_stopped_it():
    with deciding(Decisions(sizes={"M": 2, "N": 6})) as decisions:
        with decisions.attempt():
            assert ask(Guard(M, N)) and not ask(FEW)
    assert texts(decisions) == ["N < 4*M + 1"]
    with deciding(Decisions(sizes={"M": 2, "N": 60})) as decisions:
        with decisions.attempt():
            assert ask(FEW)
        with decisions.attempt() as succeed:
            assert ask(Guard(M, N))
            succeed()
    assert texts(decisions) == ["M < N"]


def test_typical_sizes_satisfy_what_is_relied_on():
    with deciding(Decisions()):
        ask(FEW)
        ask(Guard(K * N, M * N))
        sizes = typical_sizes(["M", "N"])
        assert FEW.at(sizes) and Guard(K * N, M * N).at(sizes)
    with deciding(Decisions(sizes={"M": 3, "N": 100})):
        assert typical_sizes(["M", "N"]) == {"M": 3, "N": 100}
