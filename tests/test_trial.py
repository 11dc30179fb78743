"""Trials of memories without spikes: patterns that suit a memory, cues with errors, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromem import build, models
from neuromem.errors import LimitError, SpecError
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.kernels.bits import Patterns
from neuromem.runs.parameters import derived, heading
from neuromem.runs.trial import distances, noisy, possible_errors, run_trial, suitable_patterns, suited
from neuromem.runs.trial_patterns import check_errors, one_unit_wrong
from neuromem.spec import MemoryModel, Trial

pytestmark = pytest.mark.filterwarnings("ignore::neuromem.errors.OverloadWarning")

MEMORIES = {
    "hopfield": models.hopfield(40),
    "covariance": models.hopfield(40, "covariance"),
    "columns": models.hopfield(40, hypercolumns=8),
    "willshaw": models.willshaw(40),
    "pairs": models.willshaw(40, k=3, n_content=30, k_content=5),
    "threshold": models.willshaw(40, k=7, recall="threshold"),
    "bcpnn": models.bcpnn(40, 8),
    "dense": models.dense(40),
    "attention": models.dense(40, "softmax", units="real"),
    "hetero": models.hetero(40, 30),
    "signs": models.hetero(40, 30, units="bipolar"),
    "sequence": models.sequence(40),
    "spins": models.sequence(40, "hebb"),
}
ACTIVE = {"covariance": 4, "columns": 8, "willshaw": 6, "pairs": 3, "threshold": 7, "bcpnn": 8, "sequence": 6}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(memory: MemoryModel, b: int = 20) -> tuple[np.ndarray, np.ndarray]:
    return suitable_patterns(lower_matrix_memory(memory), b, rng(), memory.parameters)


def bits(active: np.ndarray, n: int) -> np.ndarray:
    """Return rows of active units as booleans; a unit that comes twice in a row is found out."""
    if active.dtype == np.bool_:
        return active
    found = np.zeros((len(active), n), np.int64)
    np.add.at(found, (np.arange(len(active))[:, None], active), 1)
    assert found.max(initial=0) <= 1
    return found > 0


@pytest.mark.parametrize("name", MEMORIES)
def test_patterns_suit_the_memory(name: str) -> None:
    memory = MEMORIES[name]
    pre, post = drawn(memory)
    recurrent = len(memory.network.populations) == 1
    assert (pre is post) == recurrent
    assert len(np.unique(pre, axis=0)) == len(pre) == len(post) == 20
    if name in ACTIVE:
        assert pre.shape == (20, ACTIVE[name])
        assert (bits(pre, 40).sum(axis=1) == ACTIVE[name]).all()
    if name in ("columns", "bcpnn"):
        assert (bits(pre, 40).reshape(20, 8, 5).sum(axis=2) == 1).all()
    if name == "pairs":
        assert (bits(post, 30).sum(axis=1) == 5).all()
    if name in ("attention", "hetero"):
        assert pre.dtype == np.float32
        assert np.abs(np.linalg.norm(pre, axis=1) - 1).max() < 40 * 2.0**-24
    if name in ("hopfield", "dense", "signs", "spins"):
        assert (pre.dtype, pre.shape) == (np.bool_, (20, 40))


def test_patterns_are_distinct_even_where_there_are_hardly_more() -> None:
    pre, _ = drawn(models.hopfield(4), 16)
    assert sorted((pre @ [1, 2, 4, 8]).tolist()) == list(range(16))
    pre, _ = drawn(models.willshaw(5, k=2), 10)
    assert len(np.unique(pre, axis=0)) == 10
    with pytest.raises(SpecError) as raised:
        drawn(models.hopfield(4), 17)
    assert str(raised.value) == (
        "hopfield: 17 distinct patterns of 4 bipolar units; there are hardly as many: expected fewer patterns, or more units."
    )


def test_patterns_in_which_all_units_are_active_are_booleans() -> None:
    pre, _ = drawn(models.willshaw(6, k=6), 1)
    assert pre.tolist() == [[True] * 6]
    cue = noisy(lower_matrix_memory(models.willshaw(6, k=6)), pre, Trial(1, deletions=0.5), rng())
    assert cue.shape == (1, 3)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 90), share=st.floats(0, 1), deletions=st.floats(0, 1), additions=st.floats(0, 3), seed=st.integers(0, 99), b=st.integers(1, 9)
)  # fmt: skip
def test_deletions_and_additions_are_as_many_as_asked_for(
    n: int, share: float, deletions: float, additions: float, seed: int, b: int
) -> None:
    k = max(1, round(share * n))
    program = lower_matrix_memory(models.willshaw(n, k=k))
    active = np.sort(np.argsort(rng(seed).random((b, n)), axis=1)[:, :k], axis=1)
    before = active.copy()
    for given_as in (active, bits(active, n)) if k < n else (bits(active, n),):
        cue = bits(noisy(program, given_as, Trial(1, deletions=deletions, additions=additions), rng(seed)), n)
        pattern = bits(active, n)
        assert ((pattern & ~cue).sum(axis=1) == round(deletions * k)).all()
        assert ((~pattern & cue).sum(axis=1) == min(n - k, round(additions * k))).all()
    assert np.array_equal(active, before)


def test_every_silent_unit_is_added_as_often_as_the_others() -> None:
    """One of 6 silent units, 6000 times: each comes 1000 times, give or take 4 standard deviations of sqrt(1000 * 5 / 6)."""
    active = np.tile([0, 3, 4, 9], (6000, 1))
    cue = noisy(lower_matrix_memory(models.willshaw(10, k=4)), active, Trial(1, additions=0.25), rng())
    counts = bits(cue, 10).sum(axis=0)
    assert (counts[[0, 3, 4, 9]] == 6000).all()
    assert np.abs(counts[[1, 2, 5, 6, 7, 8]] - 1000).max() < 4 * np.sqrt(1000 * 5 / 6)


def test_moves_flips_and_noise() -> None:
    program = lower_matrix_memory(MEMORIES["bcpnn"])
    pre, _ = drawn(MEMORIES["bcpnn"])
    cue = noisy(program, pre, Trial(1, moves=0.25), rng())
    assert ((cue != pre).sum(axis=1) == 2).all()
    assert (cue // 5 == np.arange(8)).all()
    moved = noisy(program, pre, Trial(1, moves=0.25, deletions=0.5, additions=0.125), rng())
    assert moved.shape == (20, 8 - 4 + 1)

    pre, _ = drawn(MEMORIES["hopfield"])
    cue = noisy(lower_matrix_memory(MEMORIES["hopfield"]), pre, Trial(1, flips=0.1), rng())
    assert ((cue != pre).sum(axis=1) == 4).all()

    real = lower_matrix_memory(models.hetero(4096))
    pre, _ = suitable_patterns(real, 8, rng())
    assert noisy(real, pre, Trial(1), rng()) is pre
    added = noisy(real, pre, Trial(1, noise=0.5), rng()).astype(np.float64) - pre
    # 4096 numbers of variance 0.25 / 4096: their squares add up to 0.25, with a standard deviation of 0.25 sqrt(2 / 4096)
    assert np.abs((added**2).sum(axis=1) - 0.25).max() < 5 * 0.25 * np.sqrt(2 / 4096)


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("hopfield", ("flips",)), ("dense", ("flips",)), ("attention", ("noise",)), ("willshaw", ("deletions", "additions")),
        ("covariance", ("deletions", "additions")), ("pairs", ("deletions", "additions")), ("columns", ("deletions", "additions", "moves")),
        ("bcpnn", ("deletions", "additions", "moves")),
    ],
)  # fmt: skip
def test_errors_that_patterns_cannot_have_are_refused(name: str, possible: tuple[str, ...]) -> None:
    program = lower_matrix_memory(MEMORIES[name])
    assert possible_errors(program) == possible
    for error in ("flips", "deletions", "additions", "moves", "noise"):
        trial = Trial(3, **{error: 0.5})  # type: ignore[arg-type]
        if error in possible:
            check_errors(program, trial)
        else:
            with pytest.raises(SpecError, match=rf"{error} = 0.5 in cues of 40 .*; expected errors that they can have: "):
                run_trial(MEMORIES[name], trial, "reference")


def test_flips_become_what_the_patterns_can_have() -> None:
    trial = Trial(3, flips=0.1)
    found = {name: suited(lower_matrix_memory(MEMORIES[name]), trial) for name in ("hopfield", "willshaw", "bcpnn", "attention")}
    assert found["hopfield"] is trial
    assert found["willshaw"] == Trial(3, deletions=0.1, additions=0.1)
    assert found["bcpnn"] == Trial(3, moves=0.1)
    assert found["attention"] == Trial(3, noise=0.1)


@pytest.mark.parametrize("name", MEMORIES)
def test_a_trial_is_what_its_parts_say(name: str) -> None:
    """Store what it stored in another session and recall its cues: the same comes back."""
    memory = MEMORIES[name]
    possible = possible_errors(lower_matrix_memory(memory))
    trial = Trial(3, **dict.fromkeys(possible[:1], 0.2))  # type: ignore[arg-type]
    results = [run_trial(memory, trial, backend, seed=5) for backend in ("reference", "cpu")]
    a, b = results
    n = 2 if name in ("sequence", "spins") else 3
    assert a.exact.shape == a.errors.shape == a.cue_errors.shape == a.recalled.steps.shape == (n,)
    assert a.session.n_stored == n
    assert np.array_equal(distances(a.cues, b.cues), np.zeros(n))
    assert np.array_equal(distances(a.patterns, b.patterns), np.zeros(n))
    assert np.array_equal(a.exact, b.exact)
    assert np.array_equal(a.recalled.steps, b.recalled.steps)
    if isinstance(a.patterns, Patterns):
        assert isinstance(a.cues, Patterns)
        answer = a.session.recall(a.cues.bits).answer > 0
        assert np.array_equal(answer, a.recalled.answer > 0)
        assert a.errors.tolist() == (answer != a.patterns.bits).sum(axis=1).tolist()
        assert np.array_equal(a.exact, a.errors == 0)
        assert np.array_equal(distances(a.recalled.state, b.recalled.state), np.zeros(n))
    else:
        assert a.real
        assert np.array_equal(a.errors, ((a.recalled.answer.astype(np.float64) - a.patterns) ** 2).sum(axis=1))
    assert a.summary().endswith("backend reference")
    assert not np.array_equal(distances(run_trial(memory, trial, "reference", seed=6).patterns, a.patterns), np.zeros(n))


def test_plain_hebb_answers_with_the_crosstalk_of_the_keys() -> None:
    """``y_m = sum_l v_l (k_l . k_m)``, so with keys of length 1 the error is that of the other keys (doi:10.1109/TC.1972.5008975)."""
    result = run_trial(models.hetero(32), Trial(8), "reference")
    keys, values = np.asarray(result.keys, np.float64), np.asarray(result.patterns, np.float64)
    expected = (((keys @ keys.T - np.eye(8)) @ values) ** 2).sum(axis=1)
    assert np.abs(result.errors - expected).max() < 100 * 2.0**-24
    assert result.exact.all()


def test_an_answer_that_is_nearer_to_another_pattern_is_not_exact() -> None:
    """Two keys whose values are far below the crosstalk: with rate 1 and n keys of 2 units, hardly any answer is its own."""
    result = run_trial(models.hetero(2), Trial(40), "reference")
    distance = ((result.recalled.answer[:, None].astype(np.float64) - np.asarray(result.patterns)[None]) ** 2).sum(axis=2)
    assert np.array_equal(result.exact, distance.argmin(axis=1) == np.arange(40))
    assert not result.exact.all()
    assert "nearest to their own pattern" in result.summary()


def test_a_sequence_is_recalled_from_its_start() -> None:
    memory = models.sequence(256)
    result = run_trial(memory, Trial(20, deletions=0.25), "reference")
    assert isinstance(result.cues, Patterns)
    assert isinstance(result.patterns, Patterns)
    assert result.exact.shape == (19,)
    assert result.cue_errors[0] == 2
    found = result.session.recall_sequence(result.cues.bits[0], 19)
    assert np.array_equal(found, result.recalled.answer)
    assert np.array_equal(result.cues.bits[1:], found[:-1])
    assert np.array_equal(result.cue_errors[1:], result.errors[:-1])


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    run_trial(MEMORIES["sequence"], Trial(5), "reference", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    run_trial(MEMORIES["willshaw"], Trial(5), "reference", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (5, 5)


def test_what_is_refused() -> None:
    for memory, trial, message in (
        (models.ca3_cam(), Trial(3), "ca3-cam: a trial of a spiking memory; expected one without spikes, or a protocol."),
        (MEMORIES["sequence"], Trial(1), "sequence: a trial of 1 pattern; expected at least 2, a sequence."),
        (MEMORIES["willshaw"], 3, "run_trial: MemoryModel, int; expected a MemoryModel and a Trial."),
    ):
        with pytest.raises(SpecError) as raised:
            run_trial(memory, trial)  # type: ignore[arg-type]
        assert str(raised.value) == message
    with pytest.raises(LimitError, match="Take fewer units or patterns"):
        run_trial(MEMORIES["willshaw"], Trial(10**12))
    program = lower_matrix_memory(MEMORIES["willshaw"])
    with pytest.raises(SpecError, match="noisy: patterns of 1 to 2 active units; expected as many in each"):
        noisy(program, np.arange(40) < [[1], [2]], Trial(1), rng())


def test_overlap_with_the_pattern_is_that_of_the_capacity_laboratory() -> None:
    """By hand, of 40 units: bipolar 1 - 2 wrong / n; binary right / k - false / (n - k); the cosine of real ones."""
    session = build(models.hopfield(40), backend="reference")
    x = drawn(MEMORIES["hopfield"], 2)[0]
    session.store(x)
    other = x.copy()
    other[1, :5] ^= True
    found = session.recall(x)
    assert found.overlap_with(other).tolist() == [1.0, 1 - 2 * 5 / 40]
    assert session.recall(x[0]).overlap_with(x[0]).tolist() == [1.0]
    with pytest.raises(ValueError, match="1 patterns; expected 2, one for each answer"):
        found.overlap_with(x[0])
    session = build(models.willshaw(40, k=4), backend="reference")
    session.store([[0, 1, 2, 3]])
    assert session.recall([[0, 1, 2, 3]]).overlap_with([[0, 1, 2, 9]]).tolist() == [pytest.approx(3 / 4 - 1 / 36)]
    session = build(models.hetero(2, 2), backend="reference")
    session.store([[1.0, 0.0]], [[3.0, 4.0]])
    assert session.recall([[1.0, 0.0]]).overlap_with([[4.0, 3.0]]).tolist() == [pytest.approx(0.96)]


@pytest.mark.parametrize("name", MEMORIES)
def test_the_usual_cue_has_one_unit_wrong(name: str) -> None:
    program = lower_matrix_memory(MEMORIES[name])
    pre, _ = drawn(MEMORIES[name])
    trial = one_unit_wrong(program, 7, MEMORIES[name].parameters)
    assert trial.n_patterns == 7
    cue = noisy(program, pre, trial, rng())
    if program.pre.cell.alphabet == "real":
        assert cue is pre
    else:
        # A winner that moved is wrong where it was and where it is.
        assert ((bits(cue, 40) != bits(pre, 40)).sum(axis=1) == (2 if name in ("columns", "bcpnn") else 1)).all()


def test_what_stands_for_none() -> None:
    assert derived(MEMORIES["willshaw"]) == {"k": 6}
    assert derived(MEMORIES["covariance"]) == {"activity": 0.1, "max_steps": 100}
    assert derived(models.hetero(40)) == {"n_content": 40}
    assert derived(models.dense(64, "softmax")) == {"beta": 1.0}
    assert heading(MEMORIES["pairs"]).startswith("willshaw: n=40, k=3, n_content=30, k_content=5, ")
