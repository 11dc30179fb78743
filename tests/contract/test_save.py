"""Save in the middle of a run, restore, and go on: to the last bit, with spikes in flight and traces."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from conftest import Engine
from test_batch import N_STEPS, network

from neuromem.backends import Simulation
from neuromem.backends.reference import ReferenceSimulation
from neuromem.errors import SpecError, UnsupportedError
from neuromem.ir import Program, Recording, lower

SAVES = ("reference", "cpu", "cupy", "brian2-numpy", "brian2-cython")


def program() -> Program:
    return lower(network(2), dt=1.0, n_steps=N_STEPS, seed=5)


def same(a: Recording, b: Recording) -> bool:
    """Tell whether two recordings are equal to the last bit."""
    return (
        a.n_steps == b.n_steps
        and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("replica", "step", "unit"))
        and all(np.array_equal(a.weights[name], b.weights[name]) for name in b.weights)
        and all(np.array_equal(a.states[key], b.states[key]) for key in b.states)
    )


def advanced(simulation: Simulation, to: int) -> Simulation:
    simulation.advance(simulation.program.schedule.part(simulation.step, to))
    return simulation


def in_flight(program: Program, recording: Recording, cut: int) -> int:
    """The number of spikes that are sent before step ``cut`` and arrive in it or later."""
    sent = recording.step[recording.step < cut]
    return int(np.sum(sent + program.max_delay >= cut))


@pytest.mark.engines(*SAVES)
def test_restored_run_is_the_uninterrupted_one(engine: Engine) -> None:
    prog = program()
    whole = engine.run(prog)
    simulation, fresh = engine.build(prog), engine.build(prog)
    checkpoints = []
    for cut in (13, 40, 77):
        assert in_flight(prog, whole, cut) > 0
        advanced(simulation, cut)
        checkpoints.append(simulation.save())
    assert same(simulation.run(), whole)  # saving changes nothing, nor does running in parts
    for checkpoint in (*checkpoints, checkpoints[0]):  # a checkpoint can be used twice: going on did not change it
        for target in (simulation, fresh):
            target.restore(checkpoint)
            assert target.step == checkpoint.step
            assert same(target.run(), whole)


@pytest.mark.engines(*SAVES)
def test_weights_do_change_around_the_cuts(engine: Engine) -> None:
    simulation = engine.build(program())
    seen = []
    for cut in (13, 40, 77, N_STEPS):
        advanced(simulation, cut)
        seen.append(np.concatenate([simulation.weights(p.name)[0] for p in simulation.program.plastic]))
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(seen))


@pytest.mark.engines("brian2-cpp_standalone")
def test_what_cannot_be_saved_says_so(engine: Engine) -> None:
    support = engine.loaded.support
    for feature in ("interactive", "save"):
        assert not support.has(feature), f"{feature}: supported, so it belongs into the tests above"
    simulation = engine.build(program())
    with pytest.raises(UnsupportedError, match=re.escape(support.refused["save"].reason)):
        simulation.save()
    with pytest.raises(UnsupportedError, match=re.escape(support.refused["interactive"].reason)):
        simulation.advance(simulation.program.schedule.part(0, 1))


@pytest.mark.engines("reference", "cpu", "cupy", "brian2-numpy")
def test_a_checkpoint_of_another_network_is_refused(engine: Engine) -> None:
    checkpoint = engine.build(program()).save()
    other = engine.build(lower(network(2), dt=1.0, n_steps=N_STEPS, seed=6))
    with pytest.raises(SpecError) as error:
        other.restore(checkpoint)
    theirs, ours = checkpoint.network_digest[:12], other.program.network_digest[:12]
    assert str(error.value) == f"restore: a checkpoint of network {theirs}; expected {ours}, the network of this simulation."


def test_a_checkpoint_of_another_backend_is_refused(reference: Engine) -> None:
    simulation = reference.build(program())
    checkpoint = simulation.save()
    object.__setattr__(checkpoint, "backend", "slate")
    with pytest.raises(SpecError) as error:
        simulation.restore(checkpoint)
    assert str(error.value) == "restore: a checkpoint of backend 'slate'; expected one of 'reference'."


@pytest.mark.parametrize("name", ["v", "isyn_exc", "isyn_inh", "refractory_until", "arriving", "history", "plastic"])
def test_a_forgotten_part_of_the_state_is_noticed(name: str, reference: Engine) -> None:
    """Each piece of the reference's state matters to what follows one of the cuts."""

    class Forgets(ReferenceSimulation):
        _STATE = tuple(n for n in ReferenceSimulation._STATE if n != name)

    prog = program()
    whole, noticed = reference.run(prog), []
    for cut in (13, 14, 40, 77):
        fresh = Forgets(prog)
        fresh.restore(advanced(Forgets(prog), cut).save())
        noticed.append(not same(fresh.run(), whole))
    assert any(noticed)
