"""How many bytes a memory will take, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from neuromem.errors import LimitError, SpecError
from neuromem.ir.checks import SYNAPSE_BYTES
from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.kernels.bits import n_words
from neuromem.kernels.reference.hamming import ROWS
from neuromem.quantities import is_whole
from neuromem.spec.hebbian import BayesianHebbian, PseudoInverse
from neuromem.spec.memory import MemoryModel
from neuromem.spec.outer_product import MomentumStep, OuterProductRule
from neuromem.spec.population import View


def memory_needed(memory: MemoryModel, n_patterns: int = 0) -> int:
    """Return the bytes of a memory's tables with ``n_patterns`` stored, as the ``cpu`` backend keeps them.

    Working room for a batch of cues comes on top; patterns of dense memories that are stored few at a time take up to half as much
    again. Spiking memories: the tables of their synapses.
    """
    if not isinstance(memory, MemoryModel):
        raise SpecError(f"memory_needed: {type(memory).__name__}; expected a MemoryModel.")
    if not is_whole(n_patterns) or n_patterns < 0:
        raise SpecError(f"memory_needed: n_patterns = {n_patterns!r}; expected a whole number, at least 0.")
    if has_spikes(memory.network):
        return sum(SYNAPSE_BYTES * p.connector.estimate(_size(memory, p.pre), _size(memory, p.post)) for p in memory.network.projections)
    return growth(lower_matrix_memory(memory), n_patterns)


def _size(memory: MemoryModel, end: str | View) -> int:
    return end.size if isinstance(end, View) else int(memory.network.population(end).size)


def growth(program: MatrixProgram, n_patterns: int) -> int:
    """Return the bytes of the tables with ``n_patterns`` stored."""
    n_pre, n_post = program.pre.size, program.post.size
    words = 8 * (n_words(n_pre) + (0 if program.auto_associative else n_words(n_post)))
    if program.storage == "bits":
        return n_pre * n_words(n_post) * 8
    if program.storage == "rows":
        return 8 * (n_pre + 1)  # and what is stored: a few bytes for each set bit
    if program.storage == "patterns":
        return n_patterns * words + n_words(n_patterns) * 8 * n_post
    if program.storage == "counts":
        # counts, and the weights made of them; how often each unit was active, and its bias
        return n_pre * n_post * (4 + 4) + 8 * (n_pre + n_post) + 4 * n_post
    if program.storage == "hidden":
        if program.post.cell.alphabet == "bipolar":
            return -(-n_patterns // ROWS) * ROWS * words
        return n_patterns * 4 * n_post
    rule = program.rule
    matrices = 2 if isinstance(rule, BayesianHebbian) or (isinstance(rule, OuterProductRule) and isinstance(rule.step, MomentumStep)) else 1
    more = n_patterns * words if isinstance(rule, PseudoInverse) else 4 * (n_pre + 2 * n_post) if isinstance(rule, BayesianHebbian) else 0
    return n_pre * n_post * 4 * matrices + more


def available_memory() -> int:
    """Return the bytes that a process can still be given: of the machine, and of its control group where that has a limit."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux: all there is
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
        return free if limit == "max" else min(free, max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        return free


def check_fits(
    memory: MemoryModel, needed: int | None = None, held: int = 0, free: Callable[[], int] | None = None, where: str = "here"
) -> None:
    """Raise ``LimitError`` with the figures when ``needed`` bytes (default: those of the empty memory), of which ``held`` are allocated
    already, are not to be had; ``free`` tells how many are, ``where`` they are."""
    needed = memory_needed(memory) if needed is None else needed
    if needed - held < 2**26:  # not worth asking
        return
    room = available_memory() if free is None else free()
    if needed - held > room:
        raise LimitError(
            f"{memory.name}: its tables take {bytes_text(needed)}; {bytes_text(room)} of memory are free {where}. "
            "Take fewer units or patterns."
        )


def bytes_text(n: int) -> str:
    """Return ``1.5 GiB``."""
    if n >= 1000 * 2**40:
        return f"{n / 2**40:,.0f} TiB"
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} bytes"
