"""What NIR export and import refuse: every message whole."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nir_networks import CELL, foreign, lowered, pair

from neuromem.errors import BackendMissingError, FileError, LimitError, SpecError, StoreError, UnsupportedError
from neuromem.hardware_targets.nir import export_nir, import_nir, network_of, nir_graph
from neuromem.ir import stack
from neuromem.spec import Network, OneToOneConnector, Population, Projection, SpikeSourceArray, StaticSynapse

nir = pytest.importorskip("nir", reason="the package nir is not installed")


def with_nodes(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> Any:
    """Return the graph by hand with other nodes and edges in place of its own."""
    return nir.NIRGraph(foreign().nodes | nodes, edges, type_check=False)


def lif(**fields: Any) -> Any:
    one = np.ones(1)
    return nir.LIF(**{"tau": 0.02 * one, "r": one, "v_leak": 0 * one, "v_threshold": one, "v_reset": 0 * one} | fields)


def li(v_leak: float = 0.0) -> Any:
    one = np.ones(1)
    return nir.LI(tau=5e-3 * one, r=one, v_leak=v_leak * one)


W, IN = nir.Linear(np.array([[1.0, -1.0]])), ("x", "w")
UNREADABLE: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "unknown nodes": (
        lambda: with_nodes({"f": nir.Flatten({"input": np.array([1, 2])}, 0, -1), "t": nir.Threshold(np.ones(1))}, [IN]), {}, UnsupportedError,
        "NIR graph: nodes that neuromem does not read: 'f' (Flatten), 't' (Threshold); expected Affine, CubaLIF, Delay, Input, LI, LIF, Linear, Output, Scale.",
    ),
    "a LIF without LI": (
        lambda: with_nodes({"l": lif()}, [IN, ("w", "l")]), {}, UnsupportedError,
        "NIR node 'l': a LIF takes its input as a current at once, and Affine 'w' sends to it; our cells have synaptic currents: expected a CubaLIF, or one or two LI nodes before the LIF.",
    ),
    "a LIF alone": (
        lambda: with_nodes({"l": lif()}, []), {}, UnsupportedError,
        "NIR node 'l': a LIF takes its input as a current at once, and 0 LI nodes send to it; our cells have synaptic currents: expected a CubaLIF, or one or two LI nodes before the LIF.",
    ),
    "LI with a leak": (
        lambda: with_nodes({"l": lif(), "s": li(0.5)}, [IN, ("w", "s"), ("s", "l")]), {}, UnsupportedError,
        "NIR node 's': a LI before a LIF with v_leak = 0.5; expected 0.",
    ),
    "LI before a CubaLIF": (
        lambda: with_nodes({"s": li()}, [IN, ("w", "s"), ("s", "my cell")]), {}, UnsupportedError,
        "NIR node 's': LI sends to 'my cell'; expected that cells and Linear, Affine, Scale, Delay send to a cell.",
    ),
    "both signs": (
        lambda: with_nodes({"l": lif(), "s": li(), "t": li(), "w": W}, [IN, ("w", "s"), ("w", "t"), ("s", "l"), ("t", "l")]), {}, UnsupportedError,
        "NIR node 'l': weights of both signs before one of its two LI nodes; our cells have one time constant for each sign: expected positive weights before one, negative before the other.",
    ),
    "an analogue readout": (
        lambda: with_nodes({}, [IN, ("w", "y")]), {}, UnsupportedError,
        "NIR node 'w': Affine is read out by 'y'; expected spikes of cells (Input, CubaLIF, LIF): cut the readout off the graph.",
    ),
    "a cycle without a cell": (
        lambda: with_nodes({}, [IN, ("w", "wait"), ("wait", "wait"), ("wait", "my cell")]), {}, UnsupportedError,
        "NIR node 'wait': it reaches itself without a cell on the way; expected a cell in every cycle.",
    ),
    "a tensor of cells": (
        lambda: with_nodes({"x": nir.Input(np.array([1, 2]))}, [("my cell", "y")]), {}, UnsupportedError,
        "NIR node 'x': Input of shape (1, 2); expected a vector of cells, such as (2,).",
    ),
    "a matrix of another size": (
        lambda: with_nodes({"w": nir.Linear(np.ones((1, 3)))}, [IN, ("w", "my cell")]), {}, FileError,
        "NIR node 'w': weight of shape (1, 3) after 2 units; expected (n_post, 2).",
    ),
    "a delay of another size": (
        lambda: with_nodes({"wait": nir.Delay(np.ones(3))}, [IN, ("w", "wait"), ("wait", "my cell")]), {}, FileError,
        "NIR node 'wait': Delay of shape (3,) after 1 units; expected (1,).",
    ),
    "delays between matrices": (
        lambda: with_nodes(
            {"w": nir.Linear(np.ones((2, 2))), "wait": nir.Delay(np.array([1e-3, 2e-3])), "u": nir.Linear(np.ones((1, 2)))},
            [IN, ("w", "wait"), ("wait", "u"), ("u", "my cell")],
        ), {}, UnsupportedError,
        "NIR node 'u': a matrix after different delays after a matrix; expected equal delays there.",
    ),
    "not finite": (
        lambda: foreign(tau_mem=np.array([np.nan])), {}, FileError,
        "NIR node 'my cell': tau_mem of shape (1,) for 1 cells; expected (1,) finite numbers.",
    ),
    "a negative resistance": (
        lambda: foreign(r=-np.ones(1)), {}, UnsupportedError,
        "NIR node 'my cell': r = -1; expected positive values.",
    ),
    "a tau within a step": (
        lambda: foreign(tau_syn=1e-3 * np.ones(1)), {"constants": "euler"}, UnsupportedError,
        "NIR node 'my cell': tau_syn = 0.001; expected above one step of 1 ms, or constants='continuous'.",
    ),
    "no cell of ours": (
        lambda: foreign(v_reset=2 * np.ones(1)), {}, FileError,
        "NIR node 'my cell' has no cell of ours: IFCurrExp: v_reset = 2 mV, v_thresh = 1 mV; expected v_reset below v_thresh, or the cell would never stop firing.",
    ),
    "unknown constants": (
        foreign, {"constants": "exact"}, SpecError,
        "NIR graph: constants = 'exact'; expected 'euler' or 'continuous'.",
    ),
    "another step": (
        lambda: nir_graph(lowered(pair()))[0], {"dt": 0.5}, SpecError,
        "NIR graph: dt = 0.5; the graph was exported for 1.0; expected that, or nothing.",
    ),
    "a later format": (
        lambda: nir.NIRGraph(foreign().nodes, foreign().edges, metadata={"neuromem": {"format": 2}}), {}, FileError,
        "NIR graph: neuromem metadata of format 2; expected 1: read it with the neuromem that wrote it.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_not_read_is_refused_by_name(case: str) -> None:
    graph, options, kind, text = UNREADABLE[case]
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        network_of(graph(), **options)


def big() -> Any:
    n = 30_000
    return lowered(Network((Population("s", n, SpikeSourceArray()), Population("c", n, CELL)), (Projection("s", "c", OneToOneConnector(), StaticSynapse(1.0, 1.0)),)), 1)  # fmt: skip


NOT_EXPORTED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a batch": (
        lambda: stack([lowered(pair(), seed=s) for s in (0, 1)]), {}, UnsupportedError,
        "NIR export: a Program of 2 replicas; NIR has one network: export the Program of one replica.",
    ),
    "unknown constants": (
        lambda: lowered(pair()), {"constants": "exact"}, SpecError,
        "NIR export: constants = 'exact'; expected 'euler' or 'continuous'.",
    ),
    "weights of nothing": (
        lambda: lowered(pair()), {"weights": {"a>c": np.ones(1)}}, SpecError,
        "NIR export: weights of 'a>c'; the Program has the projections a>b, b>b:inh, s>a (did you mean 'a>b'?).",
    ),
    "too few weights": (
        lambda: lowered(pair()), {"weights": {"s>a": np.ones(1)}}, SpecError,
        "NIR export of projection 's>a': weights of shape (1,); expected (2,), one for each synapse.",
    ),
    "negative weights": (
        lambda: lowered(pair()), {"weights": {"s>a": [1.0, -1.0]}}, SpecError,
        "NIR export of projection 's>a': weight = -1 nA (entry 1 of 2); expected at least 0 and at most 1e+09 nA.",
    ),
    "matrices too large": (
        big, {}, LimitError,
        "NIR export: dense matrices of 6.71 GiB, NIR has no sparse ones; expected at most 4 GiB. Projection 's>c' takes 6.71 GiB: fewer units would reduce it, or fewer distinct delays (1).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_EXPORTED)
def test_what_is_not_exported_is_refused_by_name(case: str) -> None:
    program, options, kind, text = NOT_EXPORTED[case]
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        nir_graph(program(), **options)


def test_files_are_written_whole_and_never_replaced_unasked(tmp_path: Path) -> None:
    export, path = export_nir(lowered(pair())), tmp_path / "a.nir"
    export.write(path)
    with pytest.raises(
        StoreError, match=f"^{re.escape(str(path))}: it exists already; expected a new name, or --force to replace the file\\.$"
    ):
        export.write(path)
    path.write_bytes(b"mine")
    export.write(path, force=True)
    assert path.read_bytes() == export.content
    with pytest.raises(
        StoreError,
        match=f"^{re.escape(str(tmp_path))}: it is a folder; expected the name of a file, such as {re.escape(str(tmp_path / 'network.nir'))}\\.$",
    ):
        export.write(tmp_path, force=True)
    nowhere = tmp_path / "no" / "a.nir"
    with pytest.raises(
        StoreError,
        match=f"^{re.escape(str(nowhere))}: there is no folder {re.escape(str(nowhere.parent))}; expected an existing one: mkdir -p {re.escape(str(nowhere.parent))}$",
    ):
        export.write(nowhere)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nir"]  # no stage is left behind


def test_files_that_are_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    with pytest.raises(FileError, match=f"^{re.escape(str(path))}: there is no such file; expected a NIR graph \\(HDF5\\)\\.$"):
        import_nir(path)
    path.write_text("not HDF5")
    with pytest.raises(
        FileError,
        match=f"^{re.escape(str(path))}: no NIR graph that can be read \\(OSError: .*\\); expected a file that nir.write has written\\.$",
    ):
        import_nir(path)
    path.write_bytes(export_nir(lowered(pair())).content[:5000])
    with pytest.raises(
        FileError,
        match=f"^{re.escape(str(path))}: no NIR graph that can be read \\(OSError: .*\\); expected a file that nir.write has written\\.$",
    ):
        import_nir(path)
    nir.write(path, lif())
    with pytest.raises(
        FileError,
        match=f"^{re.escape(str(path))}: no NIR graph that can be read \\(TypeError: .*\\); expected a file that nir.write has written\\.$",
    ):
        import_nir(path)


def test_without_nir_one_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(
        BackendMissingError, match=r"^target 'nir': the package nir cannot be imported \(.*\); type: pip install 'neuromem\[spinnaker\]'$"
    ):
        export_nir(lowered(pair()))
