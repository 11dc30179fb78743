"""Scenarios of cells: the order of a step, refractoriness, both integrators, both receptors, parameters of each cell."""

from __future__ import annotations

import math

import numpy as np
from closed_forms import charging, interval, psp_exact, spinnaker
from scenario import FIRES, TENTH, WHOLE, Group, Part, Scenario, relay, scenario, source, state_bound, stimulus

from neuromem.ir.randomness import generator
from neuromem.spec import (
    AllToAllConnector,
    FromListConnector,
    IFCurrExp,
    OneToOneConnector,
    Population,
    Projection,
    RandomDistribution,
    StaticSynapse,
)
from neuromem.spec.cells import Integrator


def reset_meets_input() -> Scenario:
    """An input that arrives in the step in which the cell fires and is reset is not lost: its current stays.

    Two inputs arrive in step 5: 4.5 nA fire the cell, 2.5 nA alone would not. The cell is reset in
    step 5 and refractory in step 6. In steps 7 and 8 the membrane moves with what is left of the
    current of both; with that of the first alone it would stay below threshold in step 8.
    """
    scale, decay, keep, ohm = 5.0 * (1 - math.exp(-1 / 5.0)), math.exp(-1 / 5.0), math.exp(-1 / 10.0), 10.0 / 0.25

    def membrane(weight: float) -> tuple[float, float]:
        """v after steps 7 and 8, without threshold."""
        seven = -65.0 + weight * scale * decay**2 * ohm
        v = seven - (seven + 70.0) * keep
        eight = -65.0 + weight * scale * decay**3 * ohm
        return v, eight - (eight - v) * keep

    assert (4.5 * scale * ohm) * (1 - keep) > 15.0 > (2.5 * scale * ohm) * (1 - keep)
    assert membrane(7.0)[0] < -50.0 < membrane(7.0)[1]
    assert membrane(4.5)[1] < -50.0

    def check(part: Part) -> None:
        assert part.steps("cell")[:2] == [5, 8]
        v, current = part.state("cell", "v")[:, 0], part.state("cell", "isyn_exc")[:, 0]
        assert v[5] == v[6] == v[8] == -70.0
        assert abs(v[7] - membrane(7.0)[0]) <= state_bound(400.0, 8)
        for step in range(5, 30):
            assert abs(current[step] - 7.0 * scale * decay ** (step - 4)) <= state_bound(7.0, 30)

    cell = IFCurrExp(tau_m=10.0, cm=0.25, v_rest=-65.0, v_reset=-70.0, v_thresh=-50.0, tau_refrac=1.0, integrator="spinnaker")
    return scenario(
        "reset_meets_input",
        WHOLE,
        (source("input", 2), Population("cell", 1, cell)),
        (Projection("input", "cell", AllToAllConnector(), StaticSynapse(np.array([4.5, 2.5]), 1.0)),),
        (stimulus("input", [(4, 0), (4, 1)]),),
        (("cell", "v"), ("cell", "isyn_exc")),
        n_steps=30,
        check=check,
    )


REFRACTORY = {  # tau_refrac in steps of the grid -> whole steps of silence
    WHOLE: ((0.0, 0), (0.5, 1), (1.0, 1), (1.5, 2), (2.0, 2), (7.0, 7)),
    TENTH: ((0.0, 0), (2.5, 3), (3.0, 3), (7.0, 7), (7.01, 8)),  # 0.3/0.1 and 0.7/0.1 are just below 3 and 7 in doubles
}


def refractory(name: str, group: Group, integrator: Integrator) -> Scenario:
    """A current that reaches threshold in one step: a spike every 1 + ceil(tau_refrac / dt) steps, at reset in between."""
    cases, n_steps = REFRACTORY[group], 40

    def check(part: Part) -> None:
        v = part.state("cell", "v")
        for unit, (_, silent) in enumerate(cases):
            assert part.steps("cell", unit) == list(range(0, n_steps, silent + 1)), (name, cases[unit])
            assert np.all(v[:, unit] == -70.0)

    cell = IFCurrExp(
        tau_m=10.0, cm=0.25, v_rest=-65.0, v_reset=-70.0, v_thresh=-50.0, i_offset=1000.0, integrator=integrator,
        tau_refrac=np.array([t for t, _ in cases]) * group.dt,
    )  # fmt: skip
    return scenario(name, group, (Population("cell", len(cases), cell),), states=(("cell", "v"),), n_steps=n_steps, check=check)


def current_while_refractory() -> Scenario:
    """Currents go on decaying, and inputs go on adding, while a cell is refractory."""
    arrivals = {3: 4.0, 5: 1.0}  # step -> nA; the first fires the cell, which is then silent for 6 steps

    def check(part: Part) -> None:
        assert part.steps("cell") == [3]
        v, current = part.state("cell", "v")[:, 0], part.state("cell", "isyn_exc")[:, 0]
        assert np.all(v[3:10] == -65.0)
        want = 0.0
        for step in range(20):
            want = (want + arrivals.get(step, 0.0)) * math.exp(-1 / 2.0)
            assert abs(current[step] - want) <= state_bound(5.0, 20)
        left = (4.0 * math.exp(-7 / 2.0) + 1.0 * math.exp(-5 / 2.0)) * 1.0  # at the beginning of step 10
        first = psp_exact(np.array([1.0]), left, 10.0, 0.25, 2.0)[0]
        assert abs(v[10] - (-65.0 + first)) <= state_bound(65.0, 20)

    cell = IFCurrExp(tau_m=10.0, cm=0.25, v_rest=-65.0, v_reset=-65.0, v_thresh=-55.0, tau_refrac=6.0, tau_syn_E=2.0)
    return scenario(
        "current_while_refractory",
        WHOLE,
        (source("input", 2), Population("cell", 1, cell)),
        (Projection("input", "cell", AllToAllConnector(), StaticSynapse(np.array([4.0, 1.0]), 1.0)),),
        (stimulus("input", [(2, 0), (4, 1)]),),
        (("cell", "v"), ("cell", "isyn_exc")),
        n_steps=20,
        check=check,
    )


# tau_m, cm, tau_syn: CA3 type A and B, textbook, equal time constants (a removable singularity), almost equal ones
PSP_CELLS = ((3.0, 0.27, 0.3), (0.5, 0.14, 0.3), (20.0, 1.0, 5.0), (5.0, 0.2, 5.0), (5.0, 0.2, 5.000001))


def psp_of_exact(name: str, group: Group) -> Scenario:
    """The exact integrator gives the solution of the equations at the grid points, on either receptor, and for i_offset."""
    n, at, n_steps, h = len(PSP_CELLS), 3, 60, group.dt
    tau_m, cm, tau_syn = (np.array(column) for column in zip(*PSP_CELLS, strict=True))
    parameters = {"tau_m": tau_m, "cm": cm, "v_rest": -65.0, "v_thresh": 1e3}
    kinds = {"exc": 2.5, "inh": 1.5}

    def check(part: Part) -> None:
        t = np.arange(1, n_steps - at + 1) * h  # an input that arrives in step `at` acts from the beginning of that step
        for kind, weight in kinds.items():
            v = part.state(kind, "v")
            for k, (m, c, s) in enumerate(PSP_CELLS):
                sign = 1 if kind == "exc" else -1
                # The closed form loses digits where tau_m and tau_syn are close: exp(a) - exp(b) over their difference.
                lost = 4 * state_bound(weight / c * m, 1) * max(1.0, s / abs(m - s)) if m != s else 0.0
                want = -65.0 + sign * psp_exact(t, weight, m, c, s)
                assert np.all(v[:at, k] == -65.0)
                assert np.all(np.abs(v[at:, k] - want) <= state_bound(65.0 + weight * m / c, n_steps) + lost), (kind, k)
                current = part.state(kind, f"isyn_{kind}")[at:, k]
                assert np.all(np.abs(current - weight * np.exp(-t / s)) <= state_bound(weight, n_steps))
        v = part.state("charged", "v")
        t = np.arange(1, n_steps + 1) * h
        for k, (m, c, _) in enumerate(PSP_CELLS):
            assert np.all(np.abs(v[:, k] - (-65.0 + charging(t, 0.3, m, c))) <= state_bound(65.0 + 0.3 * m / c, n_steps))

    return scenario(
        name,
        group,
        (
            source("input", 1),
            Population("exc", n, IFCurrExp(**parameters, tau_syn_E=tau_syn)),
            Population("inh", n, IFCurrExp(**parameters, tau_syn_I=tau_syn)),
            Population("charged", n, IFCurrExp(**parameters, i_offset=0.3)),
        ),
        (
            Projection("input", "exc", AllToAllConnector(), StaticSynapse(2.5, h)),
            Projection("input", "inh", AllToAllConnector(), StaticSynapse(1.5, h), "inhibitory"),
        ),
        (stimulus("input", [((at - 1) * h, 0)]),),
        (("exc", "v"), ("exc", "isyn_exc"), ("inh", "v"), ("inh", "isyn_inh"), ("charged", "v")),
        n_steps=n_steps,
        check=check,
    )


def psp_of_spinnaker(name: str, group: Group) -> Scenario:
    """The spinnaker integrator is SpiNNaker's recurrence, with several inputs on both receptors, an offset and a start off rest."""
    n, n_steps, h = len(PSP_CELLS), 60, group.dt
    tau_m, cm, tau_syn = (np.array(column) for column in zip(*PSP_CELLS, strict=True))
    exc, inh = np.zeros(n_steps), np.zeros(n_steps)
    exc[[3, 4, 9, 30]] = 2.5
    inh[[4, 12, 13]] = 1.75
    exc[9] += 2 * 0.5  # one pair with two synapses
    cell = IFCurrExp(
        tau_m=tau_m, cm=cm, v_rest=-65.0, v_thresh=1e3, tau_syn_E=tau_syn, tau_syn_I=2 * tau_syn, i_offset=0.1, integrator="spinnaker"
    )

    def check(part: Part) -> None:
        for k, (m, c, s) in enumerate(PSP_CELLS):
            columns = spinnaker(exc, inh, dt=h, tau_m=m, cm=c, tau_syn_E=s, tau_syn_I=2 * s, v_rest=-65.0, v=-60.0, i_offset=0.1)
            for variable, want in zip(("v", "isyn_exc", "isyn_inh"), columns, strict=True):
                bound = state_bound(max(65.0, s / h, 1.0) * (1.0 + 10.0 * m / c), n_steps)
                assert np.all(np.abs(part.state("cell", variable)[:, k] - want) <= bound), (variable, k)

    every = [(0, k, 2.5, h) for k in range(n)]
    twice = [(2, k, 0.5, h) for k in range(n) for _ in range(2)]
    return scenario(
        name,
        group,
        (source("input", 3), Population("cell", n, cell, initial_values={"v": -60.0})),
        (
            Projection("input", "cell", FromListConnector([*every, *twice]), StaticSynapse()),
            Projection("input", "cell", FromListConnector([(1, k, 1.75, h) for k in range(n)]), StaticSynapse(), "inhibitory"),
        ),
        (stimulus("input", [(t * h, 0) for t in (2, 3, 8, 29)] + [(t * h, 1) for t in (3, 11, 12)] + [(8 * h, 2)]),),
        (("cell", "v"), ("cell", "isyn_exc"), ("cell", "isyn_inh")),
        n_steps=n_steps,
        check=check,
    )


def inhibition() -> Scenario:
    """Excitation of 9 nA fires; with 6 nA of inhibition in the same step, 3 nA do not; with 5.5 nA, 3.5 nA do (3.292 would)."""

    def check(part: Part) -> None:
        assert part.spikes("cell") == {(2, 0), (2, 2)}

    return scenario(
        "inhibition",
        WHOLE,
        (source("input", 1), relay("cell", 3)),
        (
            Projection("input", "cell", AllToAllConnector(), StaticSynapse(9.0, 1.0)),
            Projection("input", "cell", AllToAllConnector(), StaticSynapse(np.array([0.0, 6.0, 5.5]), 1.0), "inhibitory"),
        ),
        (stimulus("input", [(1, 0)]),),
        n_steps=10,
        check=check,
    )


def smallest_weight() -> Scenario:
    """One spike of 1.001 times the smallest firing weight fires a CA3 cell, 0.999 times does not; both types, both integrators."""
    weights = {  # nA, from the closed forms of tests/test_truth.py
        ("a", "spinnaker"): 3.2921, ("b", "spinnaker"): 3.3578, ("a", "exact"): 3.5686, ("b", "exact"): 5.6187,
    }  # fmt: skip
    cells = {"a": (3.0, 0.27), "b": (0.5, 0.14)}

    def check(part: Part) -> None:
        for letter, integrator in weights:
            assert part.spikes(f"{letter}_{integrator}") == {(5, 1)}

    populations = tuple(
        Population(
            f"{letter}_{integrator}",
            2,
            IFCurrExp(
                tau_m=cells[letter][0], cm=cells[letter][1], v_rest=-60.0, v_reset=-60.0, v_thresh=-57.0, tau_refrac=1.0,
                tau_syn_E=0.3, tau_syn_I=0.3, integrator=integrator,
            ),
        )
        for letter, integrator in weights
    )  # fmt: skip
    projections = tuple(
        Projection("input", f"{letter}_{integrator}", AllToAllConnector(), StaticSynapse(np.array([0.999, 1.001]) * weight, 1.0))
        for (letter, integrator), weight in weights.items()
    )
    return scenario(
        "smallest_weight",
        WHOLE,
        (source("input", 1), *populations),
        projections,
        (stimulus("input", [(4, 0)]),),
        n_steps=15,
        check=check,
    )


def rates() -> Scenario:
    """f-I curve: the spike count is never more than one off the analytic one, at any step.

    The interval of a continuous cell is T = -tau_m log(1 - distance cm / (I tau_m)) + tau_refrac.
    On a grid every interval is the next whole number of steps, ceil: so the spikes are known
    exactly. The count then lags the continuous one by at most (number of intervals) x dt, which
    is less than one interval, and so less than one spike, while duration < T^2 / dt.
    """
    n_steps, tau_m, cm, distance, silent = 600, 20.0, 1.0, 15.0, 3.0
    threshold = distance * cm / tau_m
    currents = threshold * np.array([0.5, 0.999, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.35, 1.4])

    def check(part: Part) -> None:
        for unit, current in enumerate(currents.tolist()):
            fired = part.steps("cell", unit)
            if current < threshold:
                assert fired == []
                continue
            rise = interval(current, tau_m, cm, distance)
            period = rise + silent
            assert period**2 > n_steps
            whole = math.ceil(rise)
            assert fired == list(range(whole - 1, n_steps, whole + int(silent)))  # step k ends at (k + 1) dt
            for step in range(n_steps):
                # Continuous: the first spike after `rise`, the others every `period`.
                analytic = max(0, math.floor((step + 1 - rise) / period) + 1)
                assert abs(sum(1 for s in fired if s <= step) - analytic) <= 1, (current, step)

    cell = IFCurrExp(tau_m=tau_m, cm=cm, v_rest=-65.0, v_reset=-65.0, v_thresh=-50.0, tau_refrac=silent, i_offset=currents)
    return scenario("rates", WHOLE, (Population("cell", currents.size, cell),), n_steps=n_steps, check=check)


def each_its_own() -> Scenario:
    """Parameters and initial values of each cell: arrays, and distributions drawn by name; each cell follows its own closed form."""
    tau_m, start = np.array([2.0, 5.0, 10.0, 20.0]), np.array([-60.0, -55.0, -70.0, -80.0])
    offset = RandomDistribution("uniform", 0.1, 0.4)
    n_steps = 30

    def check(part: Part) -> None:
        drawn = part.parameter("drawn", "i_offset")
        assert np.array_equal(drawn, generator(7, "each_its_own_drawn", "i_offset").uniform(0.1, 0.4, 50))
        t = np.arange(1, n_steps + 1)
        for k in range(4):
            want = -65.0 + (start[k] + 65.0) * np.exp(-t / tau_m[k])
            assert np.all(np.abs(part.state("given", "v")[:, k] - want) <= state_bound(80.0, n_steps))
        for k in range(50):
            want = -65.0 + charging(t, drawn[k], 10.0, 1.0)
            assert np.all(np.abs(part.state("drawn", "v")[:, k] - want) <= state_bound(80.0, n_steps))

    return scenario(
        "each_its_own",
        WHOLE,
        (
            Population("given", 4, IFCurrExp(tau_m=tau_m, v_thresh=0.0), initial_values={"v": start}),
            Population("drawn", 50, IFCurrExp(tau_m=10.0, v_thresh=0.0, i_offset=offset)),
        ),
        states=(("given", "v"), ("drawn", "v")),
        n_steps=n_steps,
        check=check,
    )


def chain() -> Scenario:
    """A spike runs down a chain of cells, one step of delay each; on the tenth grid as on the whole one."""

    def check(part: Part) -> None:
        assert part.spikes("cell") == {(3 + k, k) for k in range(20)}

    return scenario(
        "chain",
        TENTH,
        (source("input", 1), relay("cell", 20, TENTH)),
        (
            Projection("input", relay("cell", 20)[0:1], OneToOneConnector(), StaticSynapse(FIRES, 0.1)),
            Projection("cell", "cell", FromListConnector([(k, k + 1) for k in range(19)]), StaticSynapse(FIRES, 0.1)),
        ),
        (stimulus("input", [(0.2, 0)]),),
        n_steps=40,
        check=check,
    )


CELLS = (
    reset_meets_input(),
    refractory("refractory_exact", WHOLE, "exact"),
    refractory("refractory_spinnaker", WHOLE, "spinnaker"),
    refractory("refractory_tenth", TENTH, "exact"),
    current_while_refractory(),
    psp_of_exact("psp_exact", WHOLE),
    psp_of_exact("psp_exact_tenth", TENTH),
    psp_of_spinnaker("psp_spinnaker", WHOLE),
    psp_of_spinnaker("psp_spinnaker_tenth", TENTH),
    inhibition(),
    smallest_weight(),
    rates(),
    each_its_own(),
    chain(),
)
