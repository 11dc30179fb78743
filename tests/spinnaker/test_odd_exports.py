"""Exports that a person would not think of: odd names, populations that nobody probes, rules without synapses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from exported import cell

from neuromem.errors import SpecError
from neuromem.exports.spinnaker import export_program
from neuromem.exports.verify import verify
from neuromem.hardware_targets.spinnaker.limits import board_named
from neuromem.hardware_targets.spinnaker.virtual import virtual_mapping
from neuromem.ir.lower import lower
from neuromem.ir.program import Program
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FixedProbabilityConnector,
    FromListConnector,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)

HOSTILE = 'a"b\\n{x} \'c\' # """ é'


def rule(tau: float) -> STDP:
    return STDP(SpikePairRule(tau, tau, 0.5, 0.4), AdditiveWeightDependence(0.0, 3.0), "deferred")


def program(*names: str) -> Program:
    """``file`` and ``allow_pickle`` are words of np.savez; ``allow_pickle`` is not probed, and has a second rule without synapses."""
    rows = np.array([(i, j, 1.0 + 0.1 * i, 1.0 + (i + j) % 3) for i in range(4) for j in range(5)])
    populations = (
        Population("src", 4, SpikeSourceArray()),
        Population("file", 5, cell()),
        Population("allow_pickle", 5, cell()),
        Population("unseen", 2, cell()),
    )
    projections = (
        Projection("src", "file", FromListConnector(rows), StaticSynapse(), name=names[0]),
        Projection("file", "allow_pickle", FromListConnector(np.array([(i, i, 2.5, 1.0) for i in range(5)])), StaticSynapse(), plasticity=rule(20.0)),
        Projection("src", "allow_pickle", FromListConnector(rows), StaticSynapse(), name=names[1]),
        Projection("allow_pickle", "allow_pickle", FixedProbabilityConnector(0.0), StaticSynapse(0.0, 1.0), plasticity=rule(3.0)),
    )  # fmt: skip
    steps = np.arange(40)
    stimulus = Stimulus("src", steps % 4, steps.astype(np.float64))
    return lower(Network(populations, projections, (stimulus,), (Probe("file"), Probe("allow_pickle", "v"))), dt=1.0, n_steps=50)


def test_odd_names_unprobed_populations_and_rules_without_synapses_are_verified(tmp_path: Path) -> None:
    title = 'a """title""" \\N{x}\nof two lines'
    plan, _ = export_program(program(HOSTILE, "plain"), title)
    script, report = plan.files["run.py"].decode(), plan.files["REPORT.md"].decode()
    assert (ast.get_docstring(ast.parse(script)) or "").startswith('a """title""" \\N{x} of two lines, for a SpiNN-5 board')
    assert report.startswith('# a """title""" \\N{x} of two lines, for SpiNN-5\n')
    plan.write(tmp_path / "board")
    with virtual_mapping(tmp_path / "board", board_named("spinn5")) as mapped:  # as on a board, where nobody records what is not probed
        assert (mapped / "ds.sqlite3").is_file()
    found = verify(tmp_path / "board")
    assert [c.what + c.difference for part in (found.expectation, found.mapping, found.binaries) for c in part if not c.equal] == []
    compared = {c.what: c.values for c in found.binaries}
    assert compared["file: spikes"] > 20
    assert compared["allow_pickle: spikes"] > 5  # though nobody probes them
    assert compared["allow_pickle: final weights"] == 5


def test_a_name_that_stands_for_something_else_in_the_tables_is_refused() -> None:
    network = Network(
        (Population("p", 2, cell(v_rest=np.array([-60.0, -61.0]))), Population("src", 1, SpikeSourceArray())),  # type: ignore[arg-type]
        (Projection("src", "p", FromListConnector(np.array([(0, 0, 1.0, 1.0)])), StaticSynapse(), name="p.v_rest"),),
    )
    text = "Projection 'p.v_rest': population 'p' has a v_rest for each cell, which goes by this name in tables.npz; expected another name for the projection."
    with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
        export_program(lower(network, dt=1.0, n_steps=5), "clash")
