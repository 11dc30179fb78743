"""What a memory without spikes takes for the parameters that were left at None."""

from __future__ import annotations

from neuromem.ir.lower_matrix import lower_matrix_memory
from neuromem.runs.trial_patterns import active_units
from neuromem.spec.hebbian import Covariance
from neuromem.spec.memory import MemoryModel
from neuromem.spec.units import Softmax


def derived(memory: MemoryModel) -> dict[str, object]:
    """Return, for each parameter of the usual names that is None, what the memory's network has in place of it."""
    program = lower_matrix_memory(memory)
    pre, post, rule, hidden = program.pre, program.post, program.rule, program.hidden
    found: dict[str, object] = {"max_steps": program.update.max_steps}
    if pre.cell.alphabet == "binary":
        found["k"] = active_units(pre)
    if not program.recurrent:
        found["n_content"] = post.size
        if post.cell.alphabet == "binary":
            found["k_content"] = active_units(post)
    if isinstance(rule, Covariance):
        found["activity"] = float(f"{rule.activity:.4g}")
    if isinstance(hidden, Softmax):
        found["beta"] = float(f"{hidden.beta:.4g}")
    return {name: value for name, value in found.items() if name in memory.parameters and memory.parameters[name] is None}


def parameters_text(memory: MemoryModel) -> str:
    """Return the parameters in a line, with what stands for None; without those that stay None, which are not in use."""
    values = {**memory.parameters, **derived(memory)}
    return ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def heading(memory: MemoryModel) -> str:
    """Return the memory's name and its parameters, if any."""
    said = parameters_text(memory)
    return f"{memory.name}: {said}" if said else memory.name
