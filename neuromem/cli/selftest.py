"""``neuromem doctor --gpu --selftest``: every model that ships, on the device and on ``cpu``, and whether they agree."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from neuromem.errors import NotConvergedWarning, OverloadWarning

COMPILED = "ca3-cam"
"""The model that ``brian2cuda`` runs: each takes minutes to compile."""


def selftest(backends: Sequence[str]) -> bool:
    """Print a line for each model; return whether all engines agree on all of them."""
    from neuromem.model_files import model_names

    names = model_names()
    width = max(map(len, names))
    good = True
    for name in names:
        wanted = [b for b in backends if b == "cupy" or name == COMPILED]
        if wanted:
            agree, verdict = agreement(name, wanted)
            good &= agree
            print(f"{'ok' if agree else 'WRONG':<7}  {name:<{width}}  {', '.join(wanted)}: {verdict}", flush=True)
    return good


def agreement(model: str, backends: Sequence[str]) -> tuple[bool, str]:
    """Run a model's first protocol, or its trial, on ``cpu`` and the backends; return whether they agree, and in words."""
    from neuromem.cli.request import read_request

    engines: list[tuple[str, dict[str, str]]] = [("cpu", {}), *((b, {}) for b in backends)]
    request = read_request(model, [], None)
    if request.spiking:
        from neuromem.analysis.agreement import compare

        report = compare(request.memory, request.some_protocol(), engines)
        missing = [f"{row.engine}: {row.reason}" for row in report.rows if not row.ran]
        return report.agree and report.complete, " ".join([report.verdict(), *missing])
    from neuromem.analysis.trial_agreement import compare_trials

    with warnings.catch_warnings():  # what a trial warns of is not the device's
        warnings.simplefilter("ignore", NotConvergedWarning)
        warnings.simplefilter("ignore", OverloadWarning)
        trials = compare_trials(request.memory, request.some_trial(), engines)
    missing = [f"{row.engine}: {row.reason}" for row in trials.rows if not row.ran]
    return trials.agree and trials.complete, " ".join([trials.verdict(), *missing])
