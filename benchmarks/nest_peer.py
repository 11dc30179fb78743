"""The independent simulator: the same network in NEST (one thread), from the tables of a Program.

NEST's ``iaf_psc_exp`` integrates exactly, so the CA3 memory, which is tied to another
integrator, spikes differently there; the work is the same. The pair rule is ``stdp_synapse``,
additive, with the amplitudes of the Program.
"""

from __future__ import annotations

import time

import nest
import numpy as np

from neuromem.ir.program import Program


class NestPeer:
    """A Program's network in NEST's kernel, which holds one network at a time."""

    def __init__(self, program: Program, threads: int = 1) -> None:
        nest.set_verbosity("M_ERROR")
        nest.ResetKernel()
        nest.SetKernelStatus({"resolution": program.dt, "local_num_threads": threads})
        p = {name: values[0] for name, values in program.cells.parameters.items()}
        self.program = program
        self.neurons = nest.Create("iaf_psc_exp", program.cells.n)
        self.neurons.set(
            {
                "tau_m": p["tau_m"].tolist(),
                "C_m": (p["cm"] * 1e3).tolist(),
                "E_L": p["v_rest"].tolist(),
                "V_reset": p["v_reset"].tolist(),
                "V_th": p["v_thresh"].tolist(),
                "t_ref": np.maximum(p["tau_refrac"], program.dt).tolist(),
                "tau_syn_ex": p["tau_syn_E"].tolist(),
                "tau_syn_in": p["tau_syn_I"].tolist(),
                "I_e": (p["i_offset"] * 1e3).tolist(),
                "V_m": program.cells.initial["v"][0].tolist(),
            }
        )
        if program.n_sources:
            s = program.schedule
            self.sources = nest.Create("spike_generator", program.n_sources)
            times = [((s.step[s.unit == u] + 1) * program.dt).tolist() for u in range(program.n_sources)]
            self.sources.set([{"spike_times": t} for t in times])
            self.relays = nest.Create("parrot_neuron", program.n_sources)
            nest.Connect(self.sources, self.relays, "one_to_one", {"delay": program.dt})
        first_neuron = self.neurons[0].global_id if program.cells.n else 0
        first_relay = self.relays[0].global_id if program.n_sources else 0
        for table in program.projections:
            if not table.n_synapses:
                continue
            from_source = table.pre_first < program.n_sources
            pre = table.pre + first_relay if from_source else table.pre - program.n_sources + first_neuron
            post = table.post - program.n_sources + first_neuron
            sign = -1e3 if table.receptor == "inhibitory" else 1e3
            spec = {"weight": table.weight[0] * sign, "delay": table.delay * program.dt}
            if table.plasticity is None:
                spec["synapse_model"] = "static_synapse"
            else:
                timing, weights = table.plasticity.timing, table.plasticity.weight_dependence
                model = f"stdp_{len(nest.synapse_models)}_{table.name.replace('>', '_to_')}"
                nest.CopyModel(
                    "stdp_synapse",
                    model,
                    {
                        "tau_plus": timing.tau_plus,
                        "lambda": timing.A_plus / weights.w_max,
                        "alpha": timing.A_minus / timing.A_plus,
                        "mu_plus": 0.0,
                        "mu_minus": 0.0,
                        "Wmax": weights.w_max * 1e3,
                    },
                )
                spec["synapse_model"] = model
            nest.Connect(pre, post, "one_to_one", spec)
        self.recorder = nest.Create("spike_recorder")
        nest.Connect(self.neurons, self.recorder)
        nest.Prepare()

    def run(self) -> float:
        """Simulate the Program's duration once more; return the seconds that it took."""
        began = time.perf_counter()
        nest.Run(self.program.n_steps * self.program.dt)
        return time.perf_counter() - began

    @property
    def n_spikes(self) -> int:
        """Spikes of neurons recorded so far."""
        return int(self.recorder.n_events)
