"""``memory_needed``: what is predicted is what is allocated, and what does not fit is refused before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import neuromem
from neuromem import cues
from neuromem.backends.tables import hidden
from neuromem.errors import LimitError, NotConvergedWarning, OverloadWarning
from neuromem.ir import lower_matrix, memory_needed
from neuromem.models import bcpnn, ca3_cam, dense, hetero, hopfield, willshaw
from neuromem.runs.matrix_session import MatrixSession
from neuromem.spec import MemoryModel

either = pytest.mark.parametrize("backend", ["reference", "cpu"])


def build(memory: MemoryModel, backend: str = "reference", seed: int = 0) -> MatrixSession:
    session = neuromem.build(memory, backend, seed=seed)
    assert isinstance(session, MatrixSession)
    return session


@pytest.fixture(autouse=True)
def small_memories_are_full() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverloadWarning)
        yield


def allocated(s: MatrixSession) -> int:
    """Bytes of the arrays that a table holds, each once."""
    found: dict[int, int] = {}
    for value in vars(s.simulation.table).values():
        for array in value if isinstance(value, tuple | list) else (value,):
            if isinstance(array, np.ndarray):
                found[id(array)] = array.nbytes
    return sum(found.values())


BYTES = {
    "bits": willshaw(130, 5),
    "bits of pairs": willshaw(130, 5, n_content=70, k_content=4),
    "patterns": hopfield(130),
    "pairs of patterns": hetero(130, 70, units="bipolar"),
    "counts": bcpnn(130, 13),
    "counts of deviations": hopfield(130, rule="covariance", activity=0.1),
    "Storkey": hopfield(130, rule="storkey"),
    "pseudo-inverse": hopfield(130, rule="pseudo_inverse"),
    "traces": bcpnn(130, 13, tau=5.0),
    "outer": hetero(130, 70),
    "outer with momentum": hetero(130, 70, step="momentum"),
    "hidden": dense(130),
    "real hidden": dense(130, "softmax", units="real"),
}


@either
@pytest.mark.parametrize("storage", BYTES)
@pytest.mark.parametrize("m", [9, 300])
def test_bytes_are_as_predicted(backend: str, storage: str, m: int) -> None:
    memory = BYTES[storage]
    s, rng = build(memory, backend), np.random.default_rng(0)

    def patterns(name: str) -> np.ndarray:
        cell, n = (p := memory.network.population(name)).cell, p.size
        if getattr(cell, "groups", 1) > 1:
            return cues.random_winners(m, n, cell.groups, rng)  # type: ignore[attr-defined]
        if cell.alphabet == "binary":  # type: ignore[attr-defined]
            return np.asarray(cues.random_active(m, n, getattr(cell, "k", 5), rng))
        return cues.random_bits(m, n, np.random.default_rng(n))

    given = [patterns(p.name) for p in memory.network.populations]
    s.store(*given)
    s.recall(given[0][:3], graded=True, max_steps=1) if not s.program.recurrent else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        s.recall(given[0][:3])
    assert allocated(s) == neuromem.memory_needed(memory, m)


def test_dense_memories_grow_by_half_at_most() -> None:
    s = build(dense(70), "cpu")
    for b in range(12):
        s.store(cues.random_bits(100, 70, np.random.default_rng(b)))
        assert neuromem.memory_needed(dense(70), s.n_stored) <= allocated(s) <= 1.5 * neuromem.memory_needed(dense(70), s.n_stored)
    assert isinstance(s.simulation.table, hidden.BipolarHidden)


def test_bytes_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower_matrix, "MOST_BITS", 0)
    assert neuromem.memory_needed(willshaw(1000, 5)) == 8 * 1001
    s = build(willshaw(1000, 5))
    table = s.simulation.table.table  # type: ignore[attr-defined]
    assert table.start.nbytes + table.data.nbytes == 8 * 1001


def test_spiking_memories_have_bytes_too() -> None:
    assert neuromem.memory_needed(ca3_cam()) > 0


def test_what_cannot_fit_is_refused_before_it_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_needed, "available_memory", lambda: 3 * 2**30)
    with pytest.raises(LimitError) as refused:
        build(bcpnn(n=10**7))
    assert str(refused.value) == ("bcpnn: its tables take 728 TiB; 3 GiB of memory are free here. Take fewer units or patterns.")
    assert neuromem.memory_needed(bcpnn(n=10**7)) == 8 * 10**14 + 20 * 10**7


def test_bcpnn_of_ten_million_units_is_refused_here() -> None:
    with pytest.raises(LimitError, match=r"^bcpnn: its tables take 728 TiB; .* of memory are free here\."):
        build(bcpnn(n=10**7), "cpu")


def test_patterns_that_do_not_fit_are_refused_and_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    s = build(dense(2**16, "softmax", units="real"))
    x = np.eye(1, 2**16)
    s.store(x)
    monkeypatch.setattr(memory_needed, "available_memory", lambda: 2**26)
    with pytest.raises(LimitError) as refused:
        s.store(np.broadcast_to(x, (300, 2**16)))
    assert str(refused.value) == "dense: its tables take 75.2 MiB; 64 MiB of memory are free here. Take fewer units or patterns."
    assert s.n_stored == 1


def test_a_memory_that_fits_takes_patterns_however_little_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated already is not asked for again."""
    s = build(bcpnn(4096, 16))
    monkeypatch.setattr(memory_needed, "available_memory", lambda: 0)
    s.store(cues.random_winners(3, 4096, 16, np.random.default_rng(0)))
    assert s.n_stored == 3
