"""A cell's constants in NIR, and back: ``IFCurrExp`` <-> ``CubaLIF``, or two ``LI`` before a ``LIF``.

NIR defines cells in continuous time, without a time step, refractory period or initial state (NIR 1.0, doi:10.1038/s41467-024-52259-9)::

    CubaLIF  tau_syn dI/dt = -I + w_in S      tau_mem dv/dt = v_leak - v + r I      v > v_threshold: spike, v = v_reset
    LI       tau dv/dt = v_leak - v + r I     LIF  the membrane of CubaLIF, with its input as I

where S is what the edges bring, summed: here a spike's weight in nA for one step. With ``R = tau_m / cm`` (MOhm) and step h, our cell is

=============  ===========================  ===================================================
NIR            ``continuous``               ``euler``
=============  ===========================  ===================================================
tau_mem (s)    tau_m                        h / (1 - exp(-h/tau_m))
tau_syn (s)    tau_syn                      h / (1 - exp(-h/tau_syn))
r              R                            gain / (1 - exp(-h/tau_m)), which is R for ``spinnaker``
w_in           tau_syn / h                  scale tau_syn(NIR) / h, which is tau_syn / h for ``spinnaker``
v_leak (mV)    R i_offset                   the same
v_threshold    just below v_thresh - v_rest the same
v_reset (mV)   v_reset - v_rest             the same
=============  ===========================  ===================================================

``gain`` and ``scale`` are those of ``ir.program.Coefficients``. Forward Euler multiplies by ``1 - h/tau`` in a step, so with the
``euler`` constants a reader that takes Euler steps of h makes the very steps of our integrator, ``exact`` or ``spinnaker``, even where
h is longer than tau_syn. The ``continuous`` ones are the cell's own, for readers that solve the equations.

Potentials are relative to v_rest, so that v_leak is 0 unless there is an offset current: several readers expect 0. NIR spikes above the
threshold, we spike at it: v_threshold is the double just below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from neuromem.errors import BackendMissingError

Constants = Literal["euler", "continuous"]
Fields = dict[str, np.ndarray]

MS = 1e-3
"""Seconds in a millisecond: NIR's times are in seconds."""

AGREEMENT = 1e-12
"""Relative difference up to which a constant is what our metadata say: exp differs between machines in the last of 16 digits."""


def load_nir() -> Any:
    """Return the package ``nir``; raise ``BackendMissingError`` saying what to type when it is not installed."""
    try:
        import nir
    except ImportError as error:
        raise BackendMissingError(
            f"target 'nir': the package nir cannot be imported ({error}); type: pip install 'neuromem[spinnaker]'"
        ) from error
    return nir


def cell_fields(cell: Mapping[str, np.ndarray], integrator: str, receptor: str, dt: float, constants: Constants) -> Fields:
    """Return the fields of ``CubaLIF`` for cells whose synaptic current is that of ``receptor`` ('E' or 'I').

    ``cell[name]`` are the parameters of ``IFCurrExp``, each of shape (n,); ``dt`` in ms.
    """
    tau_m, tau_syn, resistance = cell["tau_m"], cell[f"tau_syn_{receptor}"], cell["tau_m"] / cell["cm"]
    fields = {
        "v_leak": resistance * cell["i_offset"],
        "v_threshold": np.nextafter(cell["v_thresh"] - cell["v_rest"], -np.inf),
        "v_reset": cell["v_reset"] - cell["v_rest"],
    }
    if constants == "continuous":
        return fields | {"tau_syn": tau_syn * MS, "tau_mem": tau_m * MS, "r": resistance, "w_in": tau_syn / dt}
    lost_m, lost_syn = -np.expm1(-dt / tau_m), -np.expm1(-dt / tau_syn)
    fields |= {"tau_syn": dt / lost_syn * MS, "tau_mem": dt / lost_m * MS}
    if integrator == "spinnaker":
        return fields | {"r": resistance, "w_in": tau_syn / dt}
    return fields | {"r": _exact_gain(tau_m, cell["cm"], tau_syn, dt) / lost_m, "w_in": 1.0 / lost_syn}


def _exact_gain(tau_m: np.ndarray, cm: np.ndarray, tau_syn: np.ndarray, dt: float) -> np.ndarray:
    """Return what a current of 1 nA adds to v (mV) in a step: ``(dt/cm) exp(-dt/slow) (1 - exp(-x)) / x``, x the difference of the rates."""
    slow, x = np.maximum(tau_m, tau_syn), np.abs(dt / tau_m - dt / tau_syn)
    part = np.where(x > 0.0, -np.expm1(-x) / np.where(x > 0.0, x, 1.0), 1.0)
    gain: np.ndarray = dt / cm * np.exp(-dt / slow) * part
    return gain


def cell_of(fields: Mapping[str, np.ndarray], v_rest: np.ndarray, dt: float, constants: Constants) -> tuple[Fields, str]:
    """Return the parameters of ``IFCurrExp`` and the integrator that make the steps of these fields; the inverse of ``cell_fields``.

    ``v_rest`` (mV) is where the graph's potentials are 0. The leak is the resting potential, without an offset current. Weights are to be
    multiplied by ``w_in dt / tau_syn``. With ``euler``, taus of NIR must be above dt.
    """
    tau_m, tau_syn = fields["tau_mem"] / MS, fields["tau_syn"] / MS
    if constants == "euler":
        tau_m, tau_syn = -dt / np.log1p(-dt / tau_m), -dt / np.log1p(-dt / tau_syn)
    cell = {
        "tau_m": tau_m,
        "cm": tau_m / fields["r"],
        "v_rest": v_rest + fields["v_leak"],
        "v_reset": v_rest + fields["v_reset"],
        "v_thresh": v_rest + np.nextafter(fields["v_threshold"], np.inf),
        "tau_syn_E": tau_syn,
        "tau_syn_I": tau_syn,
        "i_offset": np.zeros_like(tau_m),
    }
    return cell, "spinnaker" if constants == "euler" else "exact"


def agree(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    """Return whether two sets of fields are the same but for the last digits."""
    return all(a[name].shape == b[name].shape and bool(np.allclose(a[name], b[name], rtol=AGREEMENT, atol=AGREEMENT)) for name in a)
