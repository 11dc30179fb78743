"""The networks that are timed."""

from __future__ import annotations

from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    FixedProbabilityConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    RandomDistribution,
    SpikePairRule,
    StaticSynapse,
)


def recurrent(n_exc: int = 3200, n_inh: int = 800, p_connect: float = 0.02, delay: float = 0.1) -> Network:
    """Return a recurrent network of LIF cells with current synapses; all excitatory synapses are plastic.

    The balanced network of Vogels and Abbott (doi:10.1523/JNEUROSCI.3508-05.2005) in its
    benchmark form (doi:10.1007/s10827-007-0038-6): v_rest above threshold keeps it active.
    With cm = 0.2 nF and tau_m = 20 ms, 0.01 nA is 1 mV.
    """
    cell = IFCurrExp(
        tau_m=20.0, cm=0.2, v_rest=-49.0, v_reset=-60.0, v_thresh=-50.0, tau_refrac=5.0, tau_syn_E=5.0, tau_syn_I=10.0, integrator="exact"
    )
    start = {"v": RandomDistribution("uniform", -60.0, -50.0)}
    rule = STDP(SpikePairRule(20.0, 20.0, A_plus=1.62e-4, A_minus=1.7e-4), AdditiveWeightDependence(0.0, 0.0324))
    sparse = FixedProbabilityConnector(p_connect, allow_self_connections=False)
    populations = (Population("exc", n_exc, cell, "excitatory", start), Population("inh", n_inh, cell, "inhibitory", start))
    projections = (
        Projection("exc", "exc", sparse, StaticSynapse(0.0162, delay), plasticity=rule),
        Projection("exc", "inh", sparse, StaticSynapse(0.0162, delay), plasticity=rule),
        Projection("inh", "exc", sparse, StaticSynapse(0.09, delay), "inhibitory"),
        Projection("inh", "inh", sparse, StaticSynapse(0.09, delay), "inhibitory"),
    )
    return Network(populations, projections, probes=(Probe("exc"), Probe("inh")))
