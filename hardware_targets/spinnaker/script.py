"""``run.py`` of an export: plain PyNN, for a person to read and a board's host to run, without neuromem."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from neuromem.errors import SpecError
from neuromem.hardware_targets.spinnaker.fitted import Fitted, Placement
from neuromem.ir.program import PopulationTable, Program, ProjectionTable

SPYNNAKER = "7.4.1"
"""The release of sPyNNaker whose mapping and binaries were checked."""

_HEAD = '''\
#!/usr/bin/env python3
"""{title}, for a {board} board, in plain PyNN.

    python run.py                     # on a host with sPyNNaker {spynnaker} and a board; writes results/
    python check.py                   # compares results/ with what is expected
    python run.py --simulator nest    # another PyNN simulator, as a witness: its update is exact, the board's is not;
                                      # no plasticity, and delays between cells from two steps on

{cells} cells in {populations} populations, {synapses} synapses, {n_steps} steps of {dt:g} ms. tables.npz holds the synapses (from, to, weight in nA, delay
in ms), stimulus.npz the input spikes (step, unit), REPORT.md what the board makes of them. Exported by neuromem {version}.
"""

import argparse
import importlib
import json
import zipfile
from pathlib import Path

import numpy as np

STEP, N_STEPS = {dt!r}, {n_steps}  # ms, steps

parser = argparse.ArgumentParser()
parser.add_argument("--simulator", default="spiNNaker", help="a PyNN simulator: spiNNaker (default), nest ...")
parser.add_argument("--states", action="store_true", help="record spikes, v and the synaptic currents of all cells")
parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results", help="folder to write to")
arguments = parser.parse_args()

sim = importlib.import_module(f"pyNN.{{arguments.simulator}}")
on_board = arguments.simulator == "spiNNaker"
here = Path(__file__).parent
tables, stimulus = np.load(here / "tables.npz"), np.load(here / "stimulus.npz")
'''

_HELPERS = '''

def stop(why):
    raise SystemExit(f"run.py --simulator {arguments.simulator}: {why}; or --simulator spiNNaker.")


def spikes_of(name, size):
    """Spike times in ms of each source unit."""
    step, unit = stimulus[name + ".step"], stimulus[name + ".unit"]
    if not len(step):
        return []  # sPyNNaker fails on a list of empty lists
    if not on_board and step.min() < 2:  # pyNN.nest loses those of step 0 without a word
        stop(f"{name} spikes at step {step.min()}, which only a board sends; expected input from step 2 on")
    return [(step[unit == u] * STEP).tolist() for u in range(size)]


def sources(name, size, **core):
    return sim.Population(size, sim.SpikeSourceArray(spike_times=spikes_of(name, size)), label=name, **(core if on_board else {}))


def cells(name, size, parameters, initial, **core):
    """Cells; ``core`` says how they are laid over cores: how many share one, and what its buffers hold."""
    if not on_board and (np.any(initial["isyn_exc"]) or np.any(initial["isyn_inh"])):
        stop(f"{name} begins with currents, which only a board takes; expected currents of 0")
    population = sim.Population(size, sim.IF_curr_exp(**parameters), label=name, **(core if on_board else {}))
    population.initialize(**(initial if on_board else {"v": initial["v"]}))
    return population


def connect(name, pre, post, receptor, synapse=None):
    table = tables[name]
    table = table[np.lexsort((table[:, 1], table[:, 0]))]  # from lists that are not sorted, sPyNNaker loses synapses without a word
    if not on_board and not isinstance(pre.celltype, sim.SpikeSourceArray):
        # a board counts a delay from the beginning of the step in which a cell spikes, other simulators from its end
        table[:, 3] = (np.rint(table[:, 3] / STEP) - 1) * STEP
        if np.any(table[:, 3] < STEP):
            stop(f"{name} has delays of one step between cells, which only a board delivers; expected at least two steps")
    synapses = sim.FromListConnector(list(map(tuple, table.tolist())), column_names=["weight", "delay"])
    return sim.Projection(pre, post, synapses, synapse or sim.StaticSynapse(), receptor_type=receptor, label=name)
'''

_TAIL = """
{record}
sim.run(N_STEPS * STEP)

# results/: spikes (step, unit) of each population, states, final weights (nA) of each plastic projection
late = 0 if on_board else 1  # a board stamps a spike with the beginning of its step, other simulators with its end
arguments.results.mkdir(exist_ok=True)
spikes, states, weights = {{}}, {{}}, {{}}
for name in recorded:
    segment = populations[name].get_data(clear=False).segments[0]
    trains = [(np.rint(np.asarray(t.rescale("ms").magnitude) / STEP).astype(int) - late, u) for u, t in enumerate(segment.spiketrains)]
    pairs = [(int(s), u) for steps, u in trains for s in steps]
    spikes[name] = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    for signal in segment.analogsignals:
        states[f"{{name}}.{{signal.name}}"] = np.asarray(signal.magnitude)[:N_STEPS]
for name, projection in plastic.items():
    found = np.array(projection.get(["weight"], format="list", with_address=True))
    weights[name] = found.reshape(-1, 3)  # from, to, nA
for kind, arrays in (("spikes", spikes), ("states", states), ("weights", weights)):
    with zipfile.ZipFile(arguments.results / f"{{kind}}.npz", "w") as archive:  # as np.savez, but for any name
        for name, array in arrays.items():
            with archive.open(f"{{name}}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
about = {{"simulator": arguments.simulator, "digest": json.loads((here / "manifest.json").read_text())["digest"]}}
(arguments.results / "run.json").write_text(json.dumps(about, indent=2) + "\\n")
sim.end()
print(f"{{sum(len(s) for s in spikes.values())}} spikes; results in {{arguments.results}}")
"""


def run_script(fitted: Fitted, title: str, version: str) -> str:
    """Return the text of ``run.py``."""
    program = fitted.program
    dt = program.dt
    lines = [
        _HEAD.format(
            title=" ".join(title.split()).replace("\\", "\\\\").replace('"', '\\"'),
            board=fitted.board.title,
            spynnaker=SPYNNAKER,
            cells=program.cells.n,
            populations=sum(not p.is_source for p in program.populations),
            synapses=sum(p.n_synapses for p in program.projections),
            n_steps=program.n_steps,
            dt=dt,
            version=version,
        ),
        _setup(program),
        _HELPERS,
        "\n\n# cells: parameters and what they begin with\n",
        *(f"{name} = dict({values})\n" for values, name in _cell_texts(fitted.defined).items()),
        "\n# populations\n",
        # in the order of their units, which is also that of spikes that wait for a core together
        *(_population(p, fitted.placement(p.name), fitted.defined) for p in sorted(program.populations, key=lambda p: p.first)),
        f"populations = {{{', '.join(f'{p.name!r}: {variable(p.name)}' for p in program.populations if not p.is_source)}}}\n",
        *_rules(program),
        "\n# projections: from, to, receptor, and the rule of those that learn\n",
        *(_projection(p, program) for p in program.projections if p.n_synapses),
        f"plastic = {{{', '.join(f'{p.name!r}: plastic_{i}' for i, p in enumerate(program.plastic) if p.n_synapses)}}}\n",
        _TAIL.format(record=_record(program)),
    ]
    return "".join(lines)


def _setup(program: Program) -> str:
    slow = math.ceil(1 / program.dt)
    return (
        "if on_board:\n"
        f"    sim.setup(timestep=STEP, time_scale_factor={slow})  # {'real time' if slow == 1 else f'{slow} times slower than real time'}\n"
        'elif arguments.simulator == "nest":\n'
        f'    sim.setup(timestep=STEP, min_delay=STEP, max_delay={program.max_delay} * STEP, spike_precision="on_grid")\n'
        "else:\n"
        f"    sim.setup(timestep=STEP, min_delay=STEP, max_delay={program.max_delay} * STEP)\n"
    )


def variable(name: str) -> str:
    """Return the Python name of a population: its own, which is an identifier, marked so that it clashes with nothing."""
    return f"p_{name}"


def quoted(name: str) -> str:
    """Return a name, whatever is in it, as Python reads it back; in double quotes where that is plain."""
    return f'"{name}"' if name.isascii() and name.isprintable() and not set(name) & set('"\\') else repr(name)


def number(value: float) -> str:
    """Return a number as Python reads it back to the last bit."""
    return repr(float(value))


def _values(p: PopulationTable, name: str, values: np.ndarray) -> str:
    """Return a parameter as one number, or as the place in the tables where one for each cell is."""
    return number(values[0]) if np.all(values == values[0]) else f'tables["{p.name}.{name}"]'


def _population(p: PopulationTable, q: Placement, program: Program) -> str:
    if p.is_source:
        return f'{variable(p.name)} = sources("{p.name}", {p.size}, neurons_per_core={q.neurons_per_core})\n'
    names = _cell_texts(program)
    parameters, initial = (names[_texts(p, program, group)] for group in (program.cells.parameters, program.cells.initial))
    # sPyNNaker takes the sums of weights as its users expect them, and makes the next power of two of them
    sums = [number(0.75 * 2.0**shift) for shift in q.shifts]
    return (
        f'{variable(p.name)} = cells(\n    "{p.name}", {p.size}, {parameters}, {initial},\n'
        f"    neurons_per_core={q.neurons_per_core}, n_synapse_cores=0, incoming_spike_buffer_size={q.input_buffer},\n"
        f"    max_expected_summed_weight=[{', '.join(sums)}],  # nA, excitatory and inhibitory: weights in steps of {2.0 ** (q.shifts[0] - 15):g} and {2.0 ** (q.shifts[1] - 15):g} nA\n)\n"
    )


def _texts(p: PopulationTable, program: Program, group: Mapping[str, np.ndarray]) -> str:
    """Return the parameters or the initial states of a population as arguments."""
    part = program.cells_of(p)
    return ", ".join(f"{name}={_values(p, name, v[0, part])}" for name, v in group.items())


def _cell_texts(program: Program) -> dict[str, str]:
    """Return names for all sets of parameters (``cell_0`` ...) and of initial states (``begin_0`` ...), by their texts."""
    names: dict[str, str] = {}
    for prefix, group in (("cell", program.cells.parameters), ("begin", program.cells.initial)):
        texts = dict.fromkeys(_texts(p, program, group) for p in program.populations if not p.is_source)
        names |= {text: f"{prefix}_{i}" for i, text in enumerate(texts)}
    return names


def _rules(program: Program) -> list[str]:
    rules = list(dict.fromkeys(str(p.plasticity) for p in program.plastic))
    lines = []
    for i, text in enumerate(rules):
        rule = next(p.plasticity for p in program.plastic if str(p.plasticity) == text)
        assert rule is not None
        t, w = rule.timing, rule.weight_dependence
        lines.append(
            f"def rule_{i}():  # on the board, A_plus and A_minus are in nA, and not relative to w_max as elsewhere in PyNN\n"
            "    return sim.STDPMechanism(\n"
            f"        timing_dependence=sim.SpikePairRule(tau_plus={number(t.tau_plus)}, tau_minus={number(t.tau_minus)}, A_plus={number(t.A_plus)}, A_minus={number(t.A_minus)}),\n"
            f"        weight_dependence=sim.AdditiveWeightDependence(w_min={number(w.w_min)}, w_max={number(w.w_max)}),\n"
            "        dendritic_delay_fraction=1.0,\n    )\n\n\n"
        )
    if lines:
        lines.insert(0, "\n\n")
        lines.append(
            'if not on_board:\n    raise SystemExit("run.py: this network learns, and by rules of the board; expected --simulator spiNNaker.")\n'
        )
    return lines


def _projection(p: ProjectionTable, program: Program) -> str:
    rules = list(dict.fromkeys(str(q.plasticity) for q in program.plastic))
    rule = f", rule_{rules.index(str(p.plasticity))}()" if p.plasticity is not None else ""
    given = f"plastic_{[q.name for q in program.plastic].index(p.name)} = " if p.plasticity is not None else ""
    return f'{given}connect({quoted(p.name)}, {variable(p.pre_name)}, {variable(p.post_name)}, "{p.receptor}"{rule})\n'


def _record(program: Program) -> str:
    recordable = {"v": "v", "isyn_exc": "gsyn_exc", "isyn_inh": "gsyn_inh"}
    lines, recorded = [], []
    for p in program.populations:
        if p.is_source:
            continue
        wanted = [q.variable for q in program.probes if q.population == p.name]
        names = [name for name in ("spikes", *recordable) if name in wanted]
        shared = [name for name in names if name in ("spikes", "v")]
        if names:
            recorded.append(p.name)
            anywhere = "" if names == shared else f" if on_board else {shared!r}"
            lines.append(f"{variable(p.name)}.record({[recordable.get(name, name) for name in names]!r}{anywhere})\n")
    states = (
        "if arguments.states:\n    recorded = list(populations)\n    for population in populations.values():\n"
        '        population.record(["spikes", "v", "gsyn_exc", "gsyn_inh"] if on_board else ["spikes", "v"])\n'
    )
    return f"recorded = {recorded!r}\n{''.join(lines)}{states}"


def tables_of(fitted: Fitted) -> Mapping[str, np.ndarray]:
    """Return the arrays of ``tables.npz``: (from, to, weight, delay) of each projection, and parameters that differ from cell to cell."""
    program = fitted.defined  # sPyNNaker rounds weights and parameters as we do, and these are the ones that people know
    arrays: dict[str, np.ndarray] = {}
    for p in program.projections:
        if p.n_synapses:
            pre = p.pre - program.population(p.pre_name).first
            post = p.post - program.population(p.post_name).first
            sign = -1.0 if p.receptor == "inhibitory" else 1.0  # PyNN's sign of inhibitory currents
            arrays[p.name] = np.stack([pre, post, sign * p.weight[0] + 0.0, p.delay * program.dt], axis=1)
    for q in program.populations:
        if not q.is_source:
            part = program.cells_of(q)
            for name, values in [*program.cells.parameters.items(), *program.cells.initial.items()]:
                if np.any(values[0, part] != values[0, part][0]):
                    if f"{q.name}.{name}" in arrays:
                        raise SpecError(
                            f"Projection '{q.name}.{name}': population {q.name!r} has a {name} for each cell, which goes by this name in tables.npz; expected another name for the projection."
                        )
                    arrays[f"{q.name}.{name}"] = values[0, part]
    return arrays


def stimulus_of(program: Program) -> Mapping[str, np.ndarray]:
    """Return the arrays of ``stimulus.npz``: steps and units of each source population's spikes."""
    arrays = {}
    for p in program.populations:
        if p.is_source:
            mine = (program.schedule.unit >= p.first) & (program.schedule.unit < p.first + p.size)
            arrays[f"{p.name}.step"] = program.schedule.step[mine]
            arrays[f"{p.name}.unit"] = program.schedule.unit[mine] - p.first
    return arrays
