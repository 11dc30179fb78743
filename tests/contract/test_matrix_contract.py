"""What every memory without spikes does on every engine: equal weights and answers, batches as single stores, forgetting, restoring."""

from __future__ import annotations

import re
import warnings

import emulated
import numpy as np
import pytest
from matrix_variants import VARIANTS, Pairs, Variant, noisy, pairs

import neuromem
from neuromem.errors import NotConvergedWarning, OverloadWarning, UnsupportedError
from neuromem.ir import lower_matrix
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.runs.matrix_session import MatrixSession
from neuromem.runs.recalled import Recalled
from neuromem.spec import BayesianHebbian, OneUnitPerPattern, OrthogonalStep, OuterProductRule, PseudoInverse, SoftWTA, Storkey

ROUND = 2.0**-24  # half of the spacing of float32 at 1: one rounding
ENGINES = ("reference", "cpu", "cupy")

emulated.install()

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
every_engine = pytest.mark.parametrize("backend", ENGINES)


@pytest.fixture(autouse=True)
def quiet() -> object:
    """Cues that end in a cycle, and memories that are full, are part of what is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        warnings.simplefilter("ignore", OverloadWarning)
        yield


def n_patterns(program: MatrixProgram) -> int:
    """A handful; so few writes of composed rules that they are exact in float32, in any order of sums; more are in ``test_matrix_oracles``.

    Of Storkey's rule engines have the same bits, of however many patterns.
    """
    return 2 if isinstance(program.rule, OuterProductRule) else 20 if isinstance(program.rule, Storkey) else 5


def bound(program: MatrixProgram, weights: np.ndarray, device: bool = False) -> float:
    """How far the float32 weights of two engines may lie apart; all others are equal. ``device``: one of them works out logarithms on its own."""
    rule, m, n = program.rule, n_patterns(program), program.pre.size
    if isinstance(rule, PseudoInverse):
        # m products of numbers rounded once, whose sizes add up to at most 1, on either side
        return 2 * (m + 2) * ROUND
    if isinstance(rule, BayesianHebbian) and rule.tau is None and device:
        return (
            4 * float(np.abs(weights).max()) * ROUND
        )  # of equal numbers, both logarithms are within one unit in the last place (CUDA C++ guide)
    if isinstance(rule, BayesianHebbian) and rule.tau is not None:
        # at most 4 roundings a step of each of three traces, of which w is the log; and the log itself, 4 of its size
        return 2 * (12 * m / (1 - 1 / rule.tau) + 4 * float(np.abs(weights).max())) * ROUND
    if isinstance(rule, OuterProductRule) and isinstance(rule.step, OrthogonalStep):
        # what a slot has of e: a sum of n_post products over another, of size |e| at most; keys and errors of size below n
        return 2 * (2 * program.post.size + 8) * ROUND * float(n)
    return 0.0


def same_weights(program: MatrixProgram, a: np.ndarray, b: np.ndarray, device: bool = False) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0) <= bound(program, a, device)


def same_answers(program: MatrixProgram, a: Recalled, b: Recalled) -> None:
    if program.post.cell.alphabet == "real":
        assert np.allclose(a.answer, b.answer, rtol=0, atol=real_bound(program, a))
    else:
        assert np.array_equal(a.answer, b.answer)
    assert np.array_equal(a.steps, b.steps)
    assert np.array_equal(a.converged, b.converged)
    assert a.steps.dtype == b.steps.dtype == np.int32
    assert a.converged.dtype == b.converged.dtype == np.bool_
    assert np.allclose(a.cue_overlap, b.cue_overlap, rtol=0, atol=1e-6, equal_nan=True)


def real_bound(program: MatrixProgram, found: Recalled) -> float:
    """Real answers are float32 sums: of n products of keys (up to 9/8) and weights for a matrix, an average of patterns for softmax."""
    if isinstance(program.rule, OneUnitPerPattern):
        # rounding of the answers and, through beta o (o up to n, rounded in n sums), of the softmax; at every step
        return 8.0 * program.post.size * program.post.size * ROUND * float(found.steps.max())
    return 2 * program.pre.size * 9 / 8 * (bound(program, found.answer) + (program.pre.size + 1) * ROUND * float(program.pre.size))


def stored(variant: Variant, backend: str, patterns: Pairs) -> MatrixSession:
    session = variant.session(backend)
    session.store(*patterns)
    return session


@every_variant
@pytest.mark.parametrize("backend", ENGINES[1:])
def test_engines_agree(variant: Variant, backend: str) -> None:
    program = variant.program()
    patterns = pairs(program, n_patterns(program))
    reference, session = (stored(variant, engine, patterns) for engine in ("reference", backend))
    same_weights(program, reference.weights(), session.weights(), backend == "cupy")
    assert reference.n_stored == session.n_stored == len(patterns[0]) - program.lag
    for cue in (patterns[0], noisy(program, patterns[0])):
        same_answers(program, reference.recall(cue), session.recall(cue))


@every_variant
def test_threads_change_nothing(variant: Variant) -> None:
    program = variant.program()
    patterns = pairs(program, n_patterns(program))
    one, three = (neuromem.build(variant.make(), "cpu", threads=threads) for threads in (1, 3))
    for session in (one, three):
        session.store(*patterns)
    assert np.array_equal(one.weights(), three.weights())
    a, b = (session.recall(noisy(program, patterns[0])) for session in (one, three))
    assert np.array_equal(a.answer, b.answer)
    assert np.array_equal(a.steps, b.steps)
    assert np.array_equal(a.support, b.support)


@every_variant
@every_engine
def test_a_batch_is_its_patterns_one_after_the_other(variant: Variant, backend: str) -> None:
    program = variant.program()
    patterns = pairs(program, n_patterns(program))
    at_once, singly = stored(variant, backend, patterns), variant.session(backend)
    for b in range(len(patterns[0]) - program.lag):
        singly.store(*(p[b : b + 2] if program.lag else p[b] for p in patterns))
    assert np.array_equal(at_once.weights(), singly.weights())
    assert at_once.n_stored == singly.n_stored
    same_answers(program, at_once.recall(patterns[0]), singly.recall(patterns[0]))


@every_variant
def test_order_matters_where_the_rule_says_so(variant: Variant) -> None:
    program = variant.program()
    if program.lag or isinstance(program.rule, OneUnitPerPattern):
        pytest.skip("another order of these patterns is another memory: a sequence, or hidden units that stand in the order of storing")
    patterns = pairs(program, n_patterns(program))
    forth = stored(variant, "reference", patterns).weights()
    back = stored(variant, "reference", tuple(p[::-1] for p in patterns)).weights()
    ordered = program.rule.order_matters or getattr(program.rule, "tau", None) is not None  # type: ignore[attr-defined]
    if ordered:
        assert program.storage == "matrix"
    else:
        same_weights(program, forth, back)


@every_variant
@every_engine
def test_restored_to_the_last_bit(variant: Variant, backend: str) -> None:
    program = variant.program()
    m = n_patterns(program)
    first, more = pairs(program, m), pairs(program, m, seed=5)
    session = stored(variant, backend, first)
    before, weights, n_stored = session.save(), session.weights(), session.n_stored
    session.store(*more)
    later = session.weights()
    session.restore(before)
    assert np.array_equal(session.weights(), weights)
    assert session.n_stored == n_stored
    other = variant.session("cpu" if backend == "reference" else "reference")
    other.restore(before)
    derived = isinstance(program.rule, PseudoInverse) or (
        isinstance(program.rule, BayesianHebbian) and backend == "cupy"
    )  # anew on each engine
    assert derived or np.array_equal(other.weights(), weights)
    same_weights(program, other.weights(), weights, backend == "cupy")
    session.store(*more)
    assert np.array_equal(session.weights(), later)
    fresh = variant.session(backend)
    fresh.restore(before)  # the checkpoint was not changed meanwhile
    assert np.array_equal(fresh.weights(), weights)
    # and goes on as the first did: asynchronous visits are drawn anew in each session
    again = stored(variant, backend, first)
    same = (again.recall(noisy(program, first[0])), fresh.recall(noisy(program, first[0])))
    assert np.array_equal(same[0].answer, same[1].answer)
    assert np.array_equal(same[0].steps, same[1].steps)


def forgets(program: MatrixProgram) -> bool:
    rule = program.rule
    if isinstance(rule, OuterProductRule):
        return rule.forgettable
    return bool(rule.forgets) and getattr(rule, "tau", None) is None  # type: ignore[attr-defined]


@every_variant
@every_engine
def test_what_is_forgotten_was_never_stored(variant: Variant, backend: str) -> None:
    program = variant.program()
    m = n_patterns(program)
    kept, gone = pairs(program, m), pairs(program, m, seed=5)
    session, never = stored(variant, backend, kept), stored(variant, backend, kept)
    session.store(*gone)
    both = session.weights()
    if not forgets(program):
        text = f"{program.name}: forget; {type(program.rule).__name__} cannot take a single pattern out of its weights."
        with pytest.raises(UnsupportedError, match=re.escape(text)):
            session.forget(*gone)
        assert np.array_equal(session.weights(), both)
        assert session.n_stored == 2 * (m - program.lag)
        return
    session.forget(*(g[:2] for g in gone))
    session.forget(*(g[1 if program.lag else 2 :] for g in gone)) if m > 2 else None
    assert np.array_equal(session.weights(), never.weights())
    assert session.n_stored == never.n_stored
    cue = noisy(program, kept[0])
    a, b = session.recall(cue), never.recall(cue)
    assert np.array_equal(a.answer, b.answer)
    assert np.array_equal(a.steps, b.steps)


@every_variant
@every_engine
def test_inputs_are_sums_of_weights(variant: Variant, backend: str) -> None:
    """``h_j = bias_j + sum_i s_i w_ij``, with no weight where there is no connection; s is the answer that feeds back, or the cue."""
    program = variant.program()
    if program.storage == "hidden" or isinstance(program.post.cell, SoftWTA):
        pytest.skip("no weights to sum (a hidden unit a pattern), or soft states, which test_matrix_oracles sums")
    patterns = pairs(program, n_patterns(program))
    session = stored(variant, backend, patterns)
    cue = noisy(program, patterns[0])
    found, w = session.recall(cue), session.weights().astype(np.float64)
    state = found.answer if program.recurrent and not program.lag else cue
    assert found.support is not None
    rest = found.support - state.astype(np.float64) @ w
    # sums of n products of numbers within float32, rounded once each
    allowed = 0.0 if session.weights().dtype != np.float32 else 2 * program.pre.size * ROUND * float((np.abs(state) @ np.abs(w)).max() + 9)
    bias = rest[0] if isinstance(program.rule, BayesianHebbian) else 0.0
    assert np.abs(rest - bias).max() <= allowed
    size = program.pre.size // program.groups
    for unit in range(program.pre.size) if program.wiring != "all" else ():
        own = slice(unit, unit + 1) if program.wiring == "no self" else slice(unit // size * size, (unit // size + 1) * size)
        assert not w[unit, own].any()


@every_variant
@every_engine
def test_recall_before_anything_was_stored(variant: Variant, backend: str) -> None:
    """Without weights, signs stay as they are, winners by all ties are none, and real answers are 0."""
    program = variant.program()
    cue = pairs(program, 3)[0]
    found = variant.session(backend).recall(cue)
    assert found.converged.all()
    assert np.isfinite(found.answer).all()
    if program.post.cell.alphabet == "real":
        assert not found.answer.any()
    if program.post.cell.alphabet == "bipolar" and program.recurrent:
        assert np.array_equal(found.answer, cue)


ROW_VARIANTS = [
    v
    for v in VARIANTS
    if v.program().storage == "bits"
    and v.program().groups == 1
    and getattr(v.program().post.cell, "ties", "all") == "all"
    and getattr(v.program().post.cell, "theta", None) is None
]


@pytest.mark.parametrize("variant", ROW_VARIANTS, ids=str)
@every_engine
def test_rows_answer_as_bits_do(variant: Variant, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = pairs(variant.program(), 12)
    cue = noisy(variant.program(), patterns[0])
    bits = stored(variant, backend, patterns)
    monkeypatch.setattr(lower_matrix, "MOST_BITS", 0)
    rows = stored(variant, backend, patterns)
    assert (bits.program.storage, rows.program.storage) == ("bits", "rows")
    a, b = bits.recall(cue, graded=False), rows.recall(cue, graded=False)
    same_answers(bits.program, a, b)
    saved = rows.save()
    rows.store(*pairs(variant.program(), 12, seed=9))
    rows.restore(saved)
    same_answers(bits.program, a, rows.recall(cue, graded=False))
    assert rows.n_stored == bits.n_stored
    with pytest.raises(UnsupportedError, match="inputs of all"):
        rows.recall(cue)
    with pytest.raises(UnsupportedError, match="expected a smaller memory"):
        rows.weights()


def test_rows_are_refused_where_winners_are_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = next(v for v in VARIANTS if v.name.startswith("willshaw") and "hypercolumns" in v.name)
    monkeypatch.setattr(lower_matrix, "MOST_BITS", 0)
    with pytest.raises(UnsupportedError) as refused:
        variant.session("reference")
    assert str(refused.value) == (
        "willshaw: KWinners(k=9, groups=9, ties='first') in a table of 72 x 72 synapses, which is stored by rows; "
        "expected KWinners without groups and with all ties, or Threshold of all active units."
    )
