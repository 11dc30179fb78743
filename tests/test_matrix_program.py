"""The Program of a memory without spikes: its text, its figures, its digest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import neuromem
from neuromem.errors import SpecError
from neuromem.ir import lower_matrix
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.models import bcpnn, ca3_cam, dense, hetero, hopfield, sequence, willshaw
from neuromem.spec import MemoryModel

GOLDEN = Path(__file__).parent / "golden"
MODELS: dict[str, MemoryModel] = {
    "hopfield": hopfield(),
    "hopfield_asynchronous": hopfield(100, rule="pseudo_inverse", update="asynchronous", max_steps=50),
    "willshaw": willshaw(n_content=100),
    "bcpnn": bcpnn(),
    "dense": dense(),
    "hetero": hetero(loss="huber", retention="decay", w_max=3.0),
    "sequence": sequence(),
}


def lowered(memory: MemoryModel, seed: int = 0) -> MatrixProgram:
    program = neuromem.lower(memory, seed=seed)
    assert isinstance(program, MatrixProgram)
    return program


@pytest.mark.parametrize("name", MODELS)
def test_text(name: str) -> None:
    assert str(lowered(MODELS[name])) == (GOLDEN / f"program_{name}.txt").read_text()


def test_synapses() -> None:
    for memory, n in (
        (hopfield(10), 90),
        (hopfield(10, self_coupling=True), 100),
        (hopfield(12, hypercolumns=3), 12 * 8),
        (willshaw(10, n_content=7), 70),
        (bcpnn(12, 3), 12 * 8),
        (dense(10), 0),
        (sequence(10), 100),
        (hetero(10, 4), 40),
    ):
        assert lowered(memory).n_synapses == n


STORAGE = {
    "patterns": [hopfield(8), hetero(8, units="bipolar"), sequence(8, "hebb")],
    "counts": [hopfield(8, rule="covariance"), hopfield(8, hypercolumns=4), bcpnn(8, 4)],
    "matrix": [hopfield(8, rule="storkey"), hopfield(8, rule="pseudo_inverse"), bcpnn(8, 4, tau=9.0), hetero(8)],
    "bits": [willshaw(8), sequence(8), willshaw(2**17, n_content=2**18)],
    "rows": [willshaw(2**18)],
    "hidden": [dense(8), dense(8, "softmax", units="real")],
}


@pytest.mark.parametrize("storage", STORAGE)
def test_storage(storage: str) -> None:
    assert [lowered(memory).storage for memory in STORAGE[storage]] == [storage] * len(STORAGE[storage])


def test_bits_are_at_most_four_gibibytes() -> None:
    assert lower_matrix.MOST_BITS == 8 * 2**32
    assert neuromem.memory_needed(willshaw(2**17, n_content=2**18)) == 2**32


def test_everything_that_matters_is_in_the_digest() -> None:
    digests = [lowered(memory).digest for memory in MODELS.values()]
    digests += [lowered(memory).digest for memories in STORAGE.values() for memory in memories]
    digests += [lowered(hopfield(), seed=1).digest, lowered(hopfield(max_steps=7)).digest, lowered(dense(power=4)).digest]
    digests += [lowered(bcpnn(prior=2.0)).digest, lowered(bcpnn(gain=2.0)).digest, lowered(hetero(rate=0.5)).digest]
    assert len(set(digests)) == len(digests)
    assert lowered(hopfield()).digest == lowered(hopfield()).digest
    assert lowered(replace(hopfield(), title="another")).digest == lowered(hopfield()).digest


def test_lower_takes_what_fits_the_memory() -> None:
    with pytest.raises(SpecError, match=re.escape("lower: a protocol with hopfield, which has no steps in time; expected lower(memory).")):
        neuromem.lower(hopfield(), "trial")
    with pytest.raises(SpecError, match=re.escape("lower: protocol is missing; expected lower(memory, protocol).")):
        neuromem.lower(ca3_cam())
