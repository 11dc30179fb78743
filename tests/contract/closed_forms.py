"""What cells and synapses must do, from the equations alone: nothing here uses neuromem."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np


def psp_exact(t: np.ndarray, weight: float, tau_m: float, cm: float, tau_syn: float) -> np.ndarray:
    """Return v - v_rest (mV) at times t (ms) after a spike of ``weight`` (nA): the solution of the linear equations."""
    if tau_m == tau_syn:
        return weight / cm * t * np.exp(-t / tau_m)
    return weight / cm / (1 / tau_syn - 1 / tau_m) * (np.exp(-t / tau_m) - np.exp(-t / tau_syn))


def charging(t: np.ndarray, current: float, tau_m: float, cm: float) -> np.ndarray:
    """Return v - v_rest (mV) at times t (ms) after a constant current (nA) is switched on."""
    return current * tau_m / cm * (1 - np.exp(-t / tau_m))


def spinnaker(
    exc: np.ndarray, inh: np.ndarray, *, dt: float, tau_m: float, cm: float, tau_syn_E: float, tau_syn_I: float, v_rest: float, v: float,
    i_offset: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return (v, I_E, I_I) at the end of each step for weights (nA) arriving in each step: SpiNNaker's update, without threshold."""
    current_e = current_i = 0.0
    rows = []
    for arriving_e, arriving_i in zip(exc.tolist(), inh.tolist(), strict=True):
        current_e += arriving_e * tau_syn_E / dt * (1 - math.exp(-dt / tau_syn_E))
        current_i += arriving_i * tau_syn_I / dt * (1 - math.exp(-dt / tau_syn_I))
        a = v_rest + (current_e - current_i + i_offset) * tau_m / cm
        v = a - (a - v) * math.exp(-dt / tau_m)
        current_e *= math.exp(-dt / tau_syn_E)
        current_i *= math.exp(-dt / tau_syn_I)
        rows.append((v, current_e, current_i))
    columns = np.array(rows).T
    return columns[0], columns[1], columns[2]


def interval(current: float, tau_m: float, cm: float, distance: float) -> float:
    """Return the time (ms) that a constant current needs from v_reset = v_rest over ``distance`` (mV)."""
    return -tau_m * math.log1p(-distance * cm / (current * tau_m))


class PairRule:
    """All-to-all pair STDP on one synapse, as sums over pairs of spikes (no traces, no recursion).

    Steps are whole numbers; ``delay`` is dendritic. ``on`` tells in which steps weights may change.
    """

    def __init__(
        self, *, tau_plus: float, tau_minus: float, a_plus: float, a_minus: float, w_min: float, w_max: float, multiplicative: bool,
        deferred: bool, dt: float, post_history: int | None = None, on: Callable[[int], bool] = lambda step: True,
    ) -> None:  # fmt: skip
        self.tau_plus, self.tau_minus, self.a_plus, self.a_minus = tau_plus / dt, tau_minus / dt, a_plus, a_minus
        self.w_min, self.w_max, self.multiplicative = w_min, w_max, multiplicative
        self.deferred, self.post_history, self.on = deferred, post_history, on

    def _clip(self, w: float) -> float:
        return min(max(w, self.w_min), self.w_max)

    def _potentiate(self, w: float, arrival: int, pre: Sequence[int]) -> float:
        trace = math.fsum(math.exp(-(arrival - t) / self.tau_plus) for t in pre if t < arrival)
        return self._clip(w + self.a_plus * ((self.w_max - w) if self.multiplicative else 1.0) * trace)

    def _depress(self, w: float, now: int, newest: int, arrivals: Sequence[int]) -> float:
        trace = math.fsum(math.exp(-(now - a) / self.tau_minus) for a in arrivals if a <= newest)
        return self._clip(w - self.a_minus * ((w - self.w_min) if self.multiplicative else 1.0) * trace)

    def weights(self, w: float, pre: Sequence[int], post: Sequence[int], delay: int) -> tuple[list[float], float]:
        """Return the weight sent by each pre spike, and the weight that is stored after everything has arrived."""
        arrivals = sorted(p + delay for p in post)
        sent: list[float] = []
        before: int | None = None
        for now in [*sorted(pre), None]:
            for a in arrivals:
                fresh = (before is None or a > before) and (now is None or a <= now)
                if self.deferred:
                    fresh = fresh and now is not None and self.on(now) and a in self._remembered(arrivals, now, delay)
                else:
                    fresh = fresh and self.on(a)
                if fresh:
                    w = self._potentiate(w, a, pre)
            if now is None:
                break
            met = [a for a in self._remembered(arrivals, now, delay) if a <= now]
            if self.on(now) and met:
                w = self._depress(w, now, met[-1], arrivals)
            sent.append(w)
            before = now
        return sent, w

    def _remembered(self, arrivals: Sequence[int], now: int, delay: int) -> list[int]:
        """The arrivals that a post cell still knows of in step ``now``: those of its last spikes up to now."""
        fired = [a for a in arrivals if a - delay <= now]
        return fired if self.post_history is None else fired[-self.post_history :]
