"""Sessions of memories without spikes: what is taken, what is refused and leaves nothing behind, and what is told."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import neuromem
from neuromem import cues
from neuromem.backends import matrix
from neuromem.backends.base import Refusal, Support
from neuromem.backends.cpu import CpuBackend
from neuromem.backends.tables import counts
from neuromem.errors import NotConvergedWarning, OverloadWarning, SpecError, UnsupportedError
from neuromem.models import bcpnn, dense, hetero, hopfield, sequence, willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.spec import MemoryModel

either = pytest.mark.parametrize("backend", ["reference", "cpu"])
NAN = float("nan")


def build(memory: MemoryModel, backend: str = "reference", seed: int = 0) -> MatrixSession:
    session = neuromem.build(memory, backend, seed=seed)
    assert isinstance(session, MatrixSession)
    return session


@pytest.fixture(autouse=True)
def small_memories_are_full() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)
        yield


def spins(m: int, n: int, seed: int = 0) -> np.ndarray:
    return np.where(cues.random_bits(m, n, np.random.default_rng(seed)), 1, -1)


# --- forms ---


@either
def test_a_single_cue_has_no_batch_axis(backend: str) -> None:
    x = spins(2, 70)
    s = build(hopfield(n=70), backend)
    s.store(x[0])
    s.store(x[1])
    one, two = s.recall(x[0]), s.recall(x[:1])
    assert (one.answer.shape, two.answer.shape) == ((70,), (1, 70))
    assert one.support is not None
    assert two.support is not None
    assert (one.support.shape, two.support.shape) == ((70,), (1, 70))
    assert one.steps.shape == two.steps.shape == one.margin.shape == (1,)
    assert one.answer.dtype == np.int8
    assert one.equals(x[0]).tolist() == two.equals(x[:1]).tolist() == [True]
    with pytest.raises(ValueError, match=re.escape("Recalled.equals: a target of shape (1, 70); expected (70,).")):
        one.equals(x[:1])
    assert repr(two) == "<Recalled: 1 answers of 70 units>"
    assert repr(s) == f"<MatrixSession: hopfield on {backend}, 2 stored>"


@either
@pytest.mark.parametrize(
    "make", [hopfield, willshaw, dense, sequence, lambda n: hopfield(n, rule="storkey"), lambda n: dense(n, "softmax", units="real")]
)
def test_two_units(backend: str, make: Callable[..., MemoryModel]) -> None:
    memory = make(n=2)
    s = build(memory, backend)
    s.store([[1, 0], [0, 1]])
    assert np.isfinite(s.recall([1.0, 0.0]).answer).all()


FORMS: dict[str, Callable[[np.ndarray], object]] = {
    "int8": lambda x: x.astype(np.int8),
    "float64": lambda x: x.astype(float),
    "booleans": lambda x: x > 0,
    "zeros and ones": lambda x: (x > 0).astype(np.uint8),
    "lists": lambda x: x.tolist(),
    "Fortran order": np.asfortranarray,
    "Fortran booleans": lambda x: np.asfortranarray(x > 0),
    "slices": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
}


def read_only(value: object) -> object:
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    return value


@either
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["hebb", "storkey", "pseudo_inverse", "dense"])
@pytest.mark.parametrize("update", ["synchronous", "asynchronous"])
def test_every_form_is_the_same_patterns(backend: str, form: str, rule: str, update: str) -> None:
    memory = dense(n=70) if rule == "dense" else hopfield(n=70, rule=rule, update=update)
    x = spins(4, 70)
    plain, other = build(memory, backend), build(memory, backend)
    plain.store(x)
    other.store(read_only(FORMS[form](x)))
    assert np.array_equal(plain.weights(), other.weights())
    assert np.array_equal(plain.recall(x).answer, other.recall(read_only(FORMS[form](x))).answer)


@either
def test_real_arrays_in_any_order_and_none_is_kept(backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((5, 40))
    for memory in (dense(n=40, interaction="softmax", units="real"), hetero(n=40)):
        first, second = build(memory, backend), build(memory, backend)
        mine = np.asfortranarray(x.astype(np.float32))
        first.store(*((x,) if first.program.recurrent else (x, x)))
        second.store(*((mine,) if first.program.recurrent else (mine, mine)))
        before = first.recall(x).answer
        assert np.abs(before - second.recall(np.asfortranarray(x)).answer).max() <= 1e-5
        again = second.recall(x).answer
        mine[:] = 7.0
        assert np.array_equal(second.recall(x).answer, again)


@either
def test_what_the_user_changes_later_is_stored_as_it_was(backend: str) -> None:
    x = spins(3, 70) > 0
    for memory in (hopfield(n=70), dense(n=70), hopfield(n=70, rule="pseudo_inverse")):
        s, mine = build(memory, backend), x.copy()
        s.store(mine)
        before = s.weights()
        mine[:] = False
        assert np.array_equal(s.weights(), before)
        assert s.recall(x).equals(x).all()


@either
@pytest.mark.parametrize(
    "memory", [hopfield(70, update="asynchronous"), dense(70), bcpnn(72, 9), dense(70, "softmax", units="real")], ids=lambda m: m.name
)
def test_many_cues_are_recalled_in_parts(backend: str, memory: MemoryModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    n = memory.network.populations[0].size
    x = cues.random_winners(4, n, 9, rng) if memory.name == "bcpnn" else spins(4, n)
    cue = np.tile(x, (6, 1))[:23]
    whole, parts = build(memory, backend), build(memory, backend)
    whole.store(x)
    parts.store(x)
    expected = whole.recall(cue)
    monkeypatch.setattr(matrix, "STATE_NUMBERS", 5 * n)
    seen: list[tuple[int, int]] = []
    found = parts.recall(cue, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(5, 23), (10, 23), (15, 23), (20, 23), (23, 23)]
    assert found.support is not None
    assert expected.support is not None
    if memory.network.populations[0].cell.alphabet == "real":  # type: ignore[union-attr]
        assert np.abs(found.answer - expected.answer).max() <= 1e-5
    else:
        assert np.array_equal(found.answer, expected.answer)
    assert found.support.shape == expected.support.shape
    assert np.array_equal(found.steps, expected.steps)
    ungraded = parts.recall(cue, graded=False)
    assert ungraded.support is None
    assert np.isnan(ungraded.margin).all()


def test_patterns_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cues.random_winners(50, 72, 9, np.random.default_rng(0))
    whole, parts = build(bcpnn(72, 9)), build(bcpnn(72, 9))
    whole.store(x)
    monkeypatch.setattr(counts, "BLOCK", 7)
    parts.store(x)
    assert np.array_equal(whole.weights(), parts.weights())


# --- refusals ---

EIGHT = "expected (8,) or (B, 8) for 8 units, or integers (B, k) as the numbers of active units."
REFUSED: dict[str, tuple[MemoryModel, tuple[object, ...], str]] = {
    "shape": (hopfield(8), (np.ones((3, 9)),), f"hopfield, store, content: an array of shape (3, 9); {EIGHT}"),
    "words": (hopfield(8), ("abcdefgh",), "hopfield, store, content: values of type <U8; expected numbers or booleans, of shape (8,) or (B, 8)."),
    "objects": (hopfield(8), ([{}] * 8,), "hopfield, store, content: values of type object; expected numbers or booleans, of shape (8,) or (B, 8)."),
    "complex": (hetero(2), ([1j, 0], [0, 1]), "hetero, store, cue: values of type complex128; expected numbers or booleans, of shape (2,) or (B, 2)."),
    "not binary": (hopfield(2), ([[1, -1], [0.5, 1]],), "hopfield, store, content: 0.5 at pattern 1, unit 0; expected 0 and 1, or -1 and 1."),
    "nan": (hetero(2), ([1, 0], [NAN, 0]), "hetero, store, content: nan at (0,); expected finite numbers."),
    "nan bit": (bcpnn(4, 2), ([1, 0, NAN, 1],), "bcpnn, store, content: nan at (2,); expected finite numbers."),
    "empty": (dense(8), ([],), "dense, store, content: an empty array of shape (0,); expected at least one pattern of 8 units."),
    "no patterns": (dense(8), (np.zeros((0, 8)),), "dense, store, content: an empty array of shape (0, 8); expected at least one pattern of 8 units."),
    "duplicates": (
        hopfield(2),
        ([[1, 1], [1, -1], [1, 1]],),
        "hopfield, store, content: pattern 2 is pattern 0 again; expected distinct patterns (store one again in a call of its own, if that is meant).",
    ),
    "duplicate pairs": (
        hetero(2, 2, units="bipolar"),
        ([[1, 1], [1, -1], [1, 1]], [[1, 1], [1, 1], [1, 1]]),
        "hetero, store, pairs of cue and content: pattern 2 is pattern 0 again; expected distinct patterns (store one again in a call of its own, if that is meant).",
    ),
    "too many active": (
        willshaw(8, 2), ([1, 1, 1, 0, 0, 0, 0, 0],), "willshaw, store, content: pattern 0 has 3 active units; expected 2 active units, as many as 'units' has winners.",
    ),
    "too few active": (
        sequence(8, k=2), ([[0, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]],),
        "sequence, store, content: pattern 1 has 1 active units; expected 2 active units, as many as 'units' has winners.",
    ),
    "two in a hypercolumn": (
        bcpnn(4, 2), ([1, 1, 0, 0],), "bcpnn, store, content: pattern 0 has 2 active units in group 0; expected 1 in each of 2 groups.",
    ),
    "winners of the content": (
        willshaw(8, 2, n_content=4, k_content=1), ([1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0]),
        "willshaw, store, content: pattern 0 has 2 active units; expected 1 active units, as many as 'content' has winners.",
    ),
    "an empty cue": (
        willshaw(8, 2, n_content=4, k_content=1), ([0] * 8, [1, 0, 0, 0]), "willshaw, store, cue: pattern 0 has 0 active units; expected at least 1.",
    ),
    "nothing": (willshaw(8, 2, recall="threshold"), ([0] * 8,), "willshaw, store, content: pattern 0 has 0 active units; expected at least 1."),
    "counts differ": (hetero(2), ([[1, 0], [0, 1]], [1, 0]), "hetero, store: 2 cues and 1 contents; expected as many of one as of the other."),
    "no content": (hetero(2), ([1, 0],), "hetero, store: content is missing; expected store(cue, content), pair by pair."),
    "content": (hopfield(2), ([1, 1], [1, 1]), "hopfield, store: cue and content; it is auto-associative: expected patterns alone."),
    "one of a sequence": (sequence(4, "hebb"), ([1, 1, 1, 1],), "sequence, store, content: a sequence of 1 pattern; expected at least 2, in order."),
    "unit number": (willshaw(8, 2), ([[0, 8]],), "willshaw, store, content: unit 8; expected the numbers of active units, 0 to 7."),
    "too large": (hetero(2), ([1e40, 0], [0, 0]), "hetero, store, cue: 1e+40; expected numbers within 3.40282e+38, for float32 holds no larger ones."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_stored_when_a_pattern_is_refused(case: str) -> None:
    memory, given, text = REFUSED[case]
    s = build(memory)
    before = s.weights()
    for verb in ("store", "forget"):
        with pytest.raises(SpecError) as refused:
            getattr(s, verb)(*given)
        assert str(refused.value) == text.replace(", store", f", {verb}").replace(
            "hetero, forget: content is missing; expected store", "hetero, forget: content is missing; expected forget"
        ).replace("expected store(", f"expected {verb}(")
        assert s.n_stored == 0
        assert np.array_equal(s.weights(), before)


@pytest.mark.parametrize("max_steps", [0, -1, True, 1.5, "9", NAN])
def test_limits_of_steps(max_steps: object) -> None:
    s = build(hopfield(4))
    with pytest.raises(SpecError) as refused:
        s.recall([1, 1, 1, 1], max_steps=max_steps)  # type: ignore[arg-type]
    assert str(refused.value) == f"hopfield, recall: max_steps = {max_steps!r}; expected a whole number of steps, at least 1."
    assert s.recall([1, 1, 1, 1], max_steps=np.int64(3)).converged.all()  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, "x"])
def test_seeds(seed: object) -> None:
    with pytest.raises(SpecError) as refused:
        build(hopfield(4), seed=seed)  # type: ignore[arg-type]
    assert str(refused.value) == f"lower: seed = {seed!r}; expected a whole number, at least 0."


def test_bad_cues_are_named_by_verb() -> None:
    s = build(hetero(2))
    with pytest.raises(SpecError, match=re.escape("hetero, recall, cue: an array of shape (3,); expected (2,) or (B, 2) for 2 units.")):
        s.recall([1, 2, 3])
    with pytest.raises(SpecError, match=re.escape("hopfield, recall, content: nan at (0,)")):
        build(hopfield(2)).recall([NAN, 1])
    with pytest.raises(SpecError, match=re.escape("hopfield, energy: an array of shape (3,)")):
        build(hopfield(2)).energy([1.0, 1, 1])


FORGET_TEXT = "dense: forget; pattern 1 was not stored: expected one that was."


@either
@pytest.mark.parametrize(
    ("memory", "text"),
    [
        (hopfield(70), "hopfield: forget; pattern 1 was not stored: expected one that was."),
        (hopfield(70, rule="pseudo_inverse"), "hopfield: forget; pattern 1 was not stored: expected one that was."),
        (dense(70), FORGET_TEXT),
        (dense(70, "softmax", units="real"), FORGET_TEXT),
        (hopfield(70, hypercolumns=7), "hopfield: forget; these patterns were not stored: expected patterns that were."),
        (bcpnn(70, 7), "bcpnn: forget; these patterns were not stored: expected patterns that were."),
    ],
    ids=["patterns", "pseudo-inverse", "hidden", "real", "counts", "bcpnn"],
)
def test_what_was_not_stored_cannot_be_forgotten(backend: str, memory: MemoryModel, text: str) -> None:
    s, groups = build(memory, backend), getattr(memory.network.populations[0].cell, "groups", 1)
    rng = np.random.default_rng(0)
    x = cues.random_winners(6, 70, groups, rng) if groups > 1 else spins(6, 70)
    s.store(x[:4])
    before = s.weights()
    for gone in (x[[0, 4]], x[[0, 5]]):
        with pytest.raises(SpecError) as refused:
            s.forget(gone)
        assert str(refused.value) == text
        assert s.n_stored == 4
        assert np.array_equal(s.weights(), before)
    s.forget(x[:4])
    assert s.n_stored == 0
    assert np.array_equal(s.weights(), build(memory, backend).weights())


def test_patterns_that_fit_one_by_one_but_not_together_are_not_forgotten() -> None:
    """{0, 2} and {1, 3} stored; {0, 2} twice would leave less than nothing."""
    s = build(hopfield(4, hypercolumns=2))
    s.store([[1, 0, 1, 0], [0, 1, 0, 1]])
    s.store([0, 1, 1, 0])
    before = s.weights()
    with pytest.raises(SpecError):
        s.forget([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1]])
    assert np.array_equal(s.weights(), before)
    assert s.n_stored == 3


# --- what is told ---


@either
def test_a_cycle_of_two_is_reported_per_cue(backend: str) -> None:
    """w01 = w10 = 1: from (1, -1) both units flip for ever, all at once; one after the other they settle."""
    s = build(hopfield(2, max_steps=7), backend)
    s.store([1, 1])
    text = "hopfield: 1 of 3 cues still changed after 7 steps; their answers are marked in `converged`."
    with pytest.warns(NotConvergedWarning, match=f"^{re.escape(text)}$") as told:
        found = s.recall([[1, 1], [1, -1], [-1, -1]])
    assert told[0].filename == __file__
    assert found.converged.tolist() == [True, False, True]
    assert found.steps.tolist() == [1, 7, 1]
    assert found.answer.tolist() == [[1, 1], [-1, 1], [-1, -1]]
    assert found.margin.tolist() == [1.0, -1.0, 1.0]
    assert repr(found) == "<Recalled: 3 answers of 2 units, 1 not converged>"
    with pytest.warns(NotConvergedWarning, match="after 1 steps"):
        assert s.recall([1, -1], max_steps=1).converged.tolist() == [False]  # one step is not enough to know
    one_by_one = build(hopfield(2, update="asynchronous"), backend)
    one_by_one.store([1, 1])
    found = one_by_one.recall([[1, -1]] * 20)
    assert found.converged.all()
    assert set(map(tuple, found.answer.tolist())) == {(1, 1), (-1, -1)}  # in either order of visits
    assert (found.steps == 2).all()


def test_seeds_and_recalls_have_orders_of_their_own() -> None:
    def answers(seed: int, recalls: int = 1) -> list[list[int]]:
        s = build(hopfield(2, update="asynchronous"), seed=seed)
        s.store([1, 1])
        for _ in range(recalls):
            found = s.recall([[1, -1]] * 30).answer
        return [list(row) for row in found]

    assert answers(0) == answers(0)
    assert answers(0) != answers(1)
    assert answers(0) != answers(0, recalls=2)


def test_too_much_is_told_once() -> None:
    s = build(hopfield(32))
    with pytest.warns(OverloadWarning, match="^hopfield: 40 patterns are stored") as told:
        s.store(spins(40, 32))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s.store(spins(10, 32, seed=1))
    assert s.n_stored == 50


def test_energy_is_of_auto_associative_memories_with_symmetric_weights() -> None:
    assert build(hopfield(2)).energy([[1, 1]]).tolist() == [0.0]
    assert build(dense(2)).energy([[1, 1]]).tolist() == [0.0]
    assert build(dense(2, "softmax", units="real")).energy([[3.0, 4.0]]).tolist() == [12.5]
    for memory, state, text in (
        (sequence(2, "hebb"), [1, 1], "sequence: energy; Hebbian with Sign units has no energy function here."),
        (hetero(2, units="bipolar"), [1, 1], "hetero: energy; Hebbian with Sign units has no energy function here."),
        (willshaw(4, 2), [1, 0, 1, 0], "willshaw: energy; ClippedHebbian with KWinners units has no energy function here."),
    ):
        with pytest.raises(UnsupportedError) as refused:
            build(memory).energy(state)
        assert str(refused.value) == text


def test_real_answers_have_no_active_units() -> None:
    with pytest.raises(TypeError, match=re.escape("Recalled.active: answers of real-valued units have no active units")):
        _ = build(hetero(2)).recall([1.0, 0.0]).active


def test_engines_of_spikes_refuse_by_name() -> None:
    class SpikesOnly(CpuBackend):
        support = Support({"matrix": Refusal("never", "it has no matrices.")})

    with pytest.raises(UnsupportedError) as refused:
        MatrixSession(hopfield(4), SpikesOnly())
    assert str(refused.value) == "backend 'cpu' will not do 'matrix': it has no matrices."


def test_checkpoints_are_of_one_memory() -> None:
    saved = build(hopfield(4)).save()
    other = build(hopfield(4, rule="pseudo_inverse"))
    with pytest.raises(
        SpecError, match=r"^restore: a checkpoint of memory [0-9a-f]{12}; expected [0-9a-f]{12}, that of this simulation\.$"
    ):
        other.restore(saved)


# --- one read, and what theory is asked ---


@either
def test_one_step_of_an_iterative_memory_is_no_convergence(backend: str) -> None:
    rng = np.random.default_rng(0)
    session = build(hopfield(100, max_steps=1), backend)
    session.store(cues.random_bits(5, 100, rng))
    with pytest.warns(NotConvergedWarning):
        assert not session.recall(cues.random_bits(20, 100, rng)).converged.all()


@either
def test_a_single_read_is_not_repeated(backend: str) -> None:
    session = build(willshaw(64, recall="threshold"), backend)
    session.store([[1, 2, 3, 4, 5, 6]])
    with pytest.raises(SpecError, match=r"^willshaw, recall: max_steps = 5; its answer is one read: expected 1, or none\.$"):
        session.recall([[1, 2]], max_steps=5)
    assert session.recall([[1, 2]], max_steps=1).converged.all()


@either
def test_all_units_active_is_no_matter_for_theory(backend: str) -> None:
    session = build(willshaw(n=16, k=16), backend)
    session.store(np.ones(16, bool))
    assert session.n_stored == 1


@either
def test_a_sum_forgets_no_more_than_was_stored(backend: str) -> None:
    session = build(hetero(n=8), backend)
    with pytest.raises(SpecError, match="forget; 1 pairs of 0 stored"):
        session.forget(np.ones(8), np.ones(8))
    assert session.n_stored == 0
    assert not session.weights().any()


def test_overload_of_pairs_counts_by_the_units_that_read() -> None:
    rng = np.random.default_rng(0)
    wide = build(hetero(n=1000, n_content=64, units="bipolar"), "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error", OverloadWarning)
        wide.store(cues.random_bits(40, 1000, rng), cues.random_bits(40, 64, rng))  # a load of 0.04
    narrow = build(hetero(n=64, n_content=1000, units="bipolar"), "cpu")
    with pytest.warns(OverloadWarning, match="0.1 of their units"):
        narrow.store(cues.random_bits(40, 64, rng), cues.random_bits(40, 1000, rng))


def test_ties_of_softmax_reads_are_ties_on_every_engine() -> None:
    rng = np.random.default_rng(5)
    patterns, states = cues.random_bits(10, 64, rng), cues.random_bits(1200, 64, rng)
    answers = []
    for backend in ("reference", "cpu"):
        session = build(dense(64, interaction="softmax", beta=4.0), backend)
        session.store(patterns)
        answers.append(session.recall(states).answer)
    assert np.array_equal(*answers)
