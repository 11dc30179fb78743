"""Spikes as a table of comma-separated values."""

from __future__ import annotations

from typing import TextIO

from neuromem.ir.recording import Recording


def write_spikes(recording: Recording, file: TextIO, replica: int = 0) -> None:
    """Write ``step,population,unit`` lines, sorted by step, then population, then unit within the population."""
    rows: list[tuple[int, str, int]] = []
    for population in recording.program.populations:
        step, unit = recording.spikes_of(population.name, replica)
        rows += [(s, population.name, u) for s, u in zip(step.tolist(), unit.tolist(), strict=True)]
    file.write("step,population,unit\n")
    file.writelines(f"{step},{name},{unit}\n" for step, name, unit in sorted(rows))
