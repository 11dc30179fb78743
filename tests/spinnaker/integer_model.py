"""What the board's binaries compute, in plain Python integers: leaky integrate-and-fire cells, ring buffers, deferred STDP.

It shares no code with the library. v, isyn and parameters are S1615 (x 2^15), decays U032 (x 2^32), traces S4.11 (x 2^11), weights u16.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

ONE = 1 << 15
TWO_32 = 1 << 32


def s1615(x: float) -> int:
    return round(x * ONE)


def wrap(x: int, bits: int = 32) -> int:
    """Two's complement."""
    return (x + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def divide(a: int, b: int) -> int:
    """S1615 / S1615, truncated towards zero."""
    q = abs(a) * ONE // abs(b)
    return q if (a < 0) == (b < 0) else -q


def exp_scaled(n: int) -> int:
    """exp(n / 2^15) 2^32 for n <= 0."""

    def sc(x: int, y: int) -> int:
        return (x * y + (1 << 31)) >> 32

    if n < -340695:
        return 0
    z, f = n >> 15, n % ONE
    if f == 0:
        return round(TWO_32 * math.exp(z))
    g = ONE - f
    t = round(TWO_32 * math.exp(z + 1))
    t -= sc(t, round(TWO_32 * (1 - math.exp(-(g // 2048) / 16))))
    y = (g % 2048) << 17
    s = 5294 + ((4293434720 - (2081624032 * y >> 32)) * y >> 32)
    return t - sc(t, s)


@dataclass
class Cell:
    """Parameters under PyNN's names (ms, nF, mV, nA)."""

    tau_m: float = 20.0
    cm: float = 1.0
    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    tau_refrac: float = 0.1
    tau_syn_E: float = 5.0
    tau_syn_I: float = 5.0
    i_offset: float = 0.0


@dataclass
class Rule:
    """Pair STDP with additive weights (ms; nA)."""

    tau_plus: float
    tau_minus: float
    A_plus: float
    A_minus: float
    w_min: float
    w_max: float

    @staticmethod
    def table(tau: float, dt: float) -> list[int]:
        return [math.floor(2048 * math.exp(-i * dt / tau)) for i in range(2 * math.ceil(tau / dt * math.log(2048) / 2))]


@dataclass
class Row:
    """The synapses of one pre cell in one projection, with delays within one ring buffer."""

    post: str
    receptor: int
    rule: Rule | None
    synapses: list[list[int]]  # post unit, weight, delay
    last: int = 0
    trace: int = 0


@dataclass
class Post:
    """The spikes of a cell that its plastic synapses remember: (tick, trace)."""

    history: list[tuple[int, int]] = field(default_factory=list)


class IntegerModel:
    """A network; ``cells[name]`` is None for sources. ``run`` may be called again and goes on."""

    def __init__(
        self,
        dt: float,
        sizes: dict[str, int],
        cells: dict[str, Cell | None],
        shifts: dict[str, tuple[int, int]],
        depths: dict[str, int],
    ) -> None:
        self.dt, self.sizes, self.cells, self.shifts, self.depths = dt, sizes, cells, shifts, depths
        self.order = {name: i for i, name in enumerate(sizes)}
        self.rows: dict[tuple[str, int, int], list[Row]] = defaultdict(list)  # by population, stage, unit
        self.stages: dict[str, dict[int, int]] = defaultdict(dict)
        self.tick = 0
        self.saturations, self.plastic_saturations, self.plastic_losses = 0, 0, 0
        own = {n: c for n, c in cells.items() if c is not None}
        self.v = {n: [s1615(-65.0)] * sizes[n] for n in own}
        self.g = {n: [[0, 0] for _ in range(sizes[n])] for n in own}
        self.refractory = {n: [0] * sizes[n] for n in own}
        self.ring = {n: [[[0, 0] for _ in range(sizes[n])] for _ in range(depths[n])] for n in own}
        self.posts = {n: [Post() for _ in range(sizes[n])] for n in own}
        self.constants = {n: self._constants(c) for n, c in own.items()}
        self.recorded: dict[str, dict[str, list[list[int]]]] = {n: {"v": [], "gsyn_exc": [], "gsyn_inh": []} for n in own}
        self.spikes: dict[str, list[tuple[int, int]]] = {n: [] for n in own}
        self.late: dict[int, list[tuple[str, int, int]]] = defaultdict(list)  # of delay extensions

    def _constants(self, c: Cell) -> tuple[int, int, list[int], list[int], int]:
        step = s1615(self.dt)
        taus = [s1615(c.tau_syn_E), s1615(c.tau_syn_I)]
        decay = [exp_scaled(-divide(step, tau)) % TWO_32 for tau in taus]
        scale = [divide(tau, step) * (TWO_32 - 1 - d) >> 15 for tau, d in zip(taus, decay, strict=True)]
        keep = exp_scaled(-divide(step, s1615(c.tau_m))) >> 17
        refractory = math.ceil(divide(s1615(c.tau_refrac), step) / ONE)
        return divide(s1615(c.tau_m), s1615(c.cm)), keep, decay, scale, refractory

    def connect(self, pre: str, post: str, receptor: int, synapses: list[tuple[int, int, float, int]], rule: Rule | None = None) -> None:
        """Add a projection of (pre, post, weight in nA, delay in steps)."""
        depth, shift = self.depths[post], self.shifts[post][receptor]
        rows: dict[tuple[int, int], Row] = {}
        for i, j, weight, delay in synapses:
            stage = (delay - 1) // depth
            row = rows.setdefault((stage, i), Row(post, receptor, rule, []))
            row.synapses.append([j, round(abs(weight) * 2.0 ** (15 - shift)), delay - stage * depth])
            self.stages[pre][stage] = stage * depth
        for (stage, i), row in rows.items():
            self.rows[pre, stage, i].append(row)

    def synapses(self, post: str) -> list[tuple[str, int, int, int, int, int, bool, int, int]]:
        """Sorted (pre population, pre, post, receptor, total delay, weight, plastic, last pre tick, trace of the row)."""
        return sorted(
            (name, i, j, row.receptor, delay + stage * self.depths[post], weight, row.rule is not None, row.last, row.trace)
            for (name, stage, i), rows in self.rows.items()
            for row in rows
            if row.post == post
            for j, weight, delay in row.synapses
        )

    def run(self, n_ticks: int, sources: dict[str, list[tuple[int, int]]]) -> None:
        """Run ``n_ticks``; ``sources[name]`` are (tick, unit)."""
        for t in range(self.tick, self.tick + n_ticks):
            events = self.late.pop(t, [])
            for name in self.v:
                for i in self._step(name, t):
                    self.spikes[name].append((t, i))
                    events += self._send(name, i, t)
            for name, spikes in sources.items():
                for tick, i in spikes:
                    if tick == t:
                        events += self._send(name, i, t)
            for event in sorted(events, key=self.rank):
                for row in self.rows[event]:
                    self._deliver(row, t)
        self.tick += n_ticks

    def rank(self, event: tuple[str, int, int]) -> tuple[int, int, int]:
        """The order in which packets are handled that come together."""
        name, stage, i = event
        return self.stages[name].get(stage, 0), self.order[name], i

    def _send(self, name: str, i: int, t: int) -> list[tuple[str, int, int]]:
        for stage, steps in self.stages[name].items():
            if stage:
                self.late[t + steps].append((name, stage, i))
        return [(name, 0, i)]

    def _step(self, name: str, t: int) -> list[int]:
        """One tick of a population; returns the units that spike."""
        cell = self.cells[name]
        assert cell is not None
        resistance, keep, decay, scale, refractory = self.constants[name]
        rest, thresh, offset = s1615(cell.v_rest), s1615(cell.v_thresh), s1615(cell.i_offset)
        ring = self.ring[name][t % self.depths[name]]
        fired = []
        for i, g in enumerate(self.g[name]):
            for k in range(2):
                arriving = wrap(ring[i][k] << self.shifts[name][k])
                ring[i][k] = 0
                g[k] = wrap(g[k] + (arriving * scale[k] >> 32))
        self.recorded[name]["v"].append(list(self.v[name]))
        self.recorded[name]["gsyn_exc"].append([g[0] for g in self.g[name]])
        self.recorded[name]["gsyn_inh"].append([g[1] for g in self.g[name]])
        for i, g in enumerate(self.g[name]):
            if self.refractory[name][i] <= 0:
                a = wrap(wrap(wrap(g[0] - g[1] + offset) * resistance >> 15) + rest)
                self.v[name][i] = wrap(a - wrap(keep * wrap(a - self.v[name][i]) >> 15))
            else:
                self.refractory[name][i] -= 1
            if self.v[name][i] >= thresh:
                self.v[name][i] = s1615(cell.v_reset)
                self.refractory[name][i] = refractory
                fired.append(i)
                self._remember(name, i, t)
            for k in range(2):
                g[k] = g[k] * decay[k] >> 32
        return fired

    def _remember(self, name: str, i: int, t: int) -> None:
        rule = next((r.rule for rows in self.rows.values() for r in rows if r.post == name and r.rule is not None), None)
        if rule is None:
            return
        history = self.posts[name][i].history
        last, trace = history[-1] if history else (0, 0)
        history.append((t, wrap(self._decayed(trace, Rule.table(rule.tau_minus, self.dt), t - last) + 2048, 16)))
        del history[:-15]

    @staticmethod
    def _decayed(trace: int, table: list[int], steps: int) -> int:
        return trace * (table[steps] if steps < len(table) else 0) >> 11

    def _deliver(self, row: Row, t: int) -> None:
        depth = self.depths[row.post]
        for synapse in row.synapses:
            j, weight, delay = synapse
            if row.rule is not None:
                delay %= depth
                synapse[1] = weight = self._learned(row, j, weight, delay, t)
                if delay == 0:
                    self.plastic_losses += 1
                    continue
            cell = self.ring[row.post][(t + delay) % depth][j]
            cell[row.receptor] += weight
            if cell[row.receptor] > 0xFFFF:
                cell[row.receptor] = 0xFFFF
                self.saturations += row.rule is None
                self.plastic_saturations += row.rule is not None
        if row.rule is not None:
            row.trace = wrap(self._decayed(row.trace, Rule.table(row.rule.tau_plus, self.dt), t - row.last) + 2048, 16)
            row.last = t

    def _learned(self, row: Row, j: int, weight: int, delay: int, t: int) -> int:
        """The weight after all post spikes since the last pre spike, and this pre spike."""
        rule, shift = row.rule, self.shifts[row.post][row.receptor]
        assert rule is not None
        w = weight << shift
        plus, minus = Rule.table(rule.tau_plus, self.dt), Rule.table(rule.tau_minus, self.dt)
        history = [(p, o) for p, o in self.posts[row.post][j].history if p <= max(t - delay, 0)]
        for p, _ in history:
            steps = p + delay - row.last
            if p > max(row.last - delay, 0) and steps > 0:
                w = min(s1615(rule.w_max), w + (s1615(rule.A_plus) * self._decayed(row.trace, plus, steps) >> 11))
        if history:
            p, o = history[-1]
            w = max(s1615(rule.w_min), w - (s1615(rule.A_minus) * self._decayed(o, minus, t - p - delay) >> 11))
        return w >> shift
