"""The brian2cuda backend as far as it can be tested without a device: the code of every model, its compilation, and what may go wrong."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu_machines import CARD
from made_up_nvcc import COMPILES, make_toolkit

from neuromem.backends import brian2cuda
from neuromem.backends.base import Schedule
from neuromem.backends.brian2cuda import (
    Brian2CudaBackend,
    CompileError,
    CudaSimulation,
    check_end,
    compile_project,
    device_bytes,
    generate,
    heap_megabytes,
)
from neuromem.errors import BackendMissingError, LimitError, NeuromemError, SpecError, UnsupportedError
from neuromem.hardware_targets.cuda.toolkit import Toolkit, find_toolkit, jobs
from neuromem.ir import Drive, Program, lower
from neuromem.ir.matrix_checks import has_spikes
from neuromem.ir.operations import lower_memory
from neuromem.model_files import find_model, model_names
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    IFCurrExp,
    Network,
    Population,
    Probe,
    Projection,
    SpikePairRule,
    SpikeSourceArray,
    StaticSynapse,
    Stimulus,
)
from neuromem.spec.trial import Trial

pytest.importorskip("brian2cuda", reason="brian2cuda is not installed; pip install 'neuromem[cuda]'")

ARCHS = ("sm_80", "sm_90")


def model_program(name: str) -> Program | None:
    """The Program of a model's first protocol; None where the model has no spikes."""
    entry = find_model(name)
    for protocol, recipe in entry.protocols.items():
        if not isinstance(recipe, Trial):
            memory = entry.build(**dict(recipe.parameters))
            return lower_memory(memory, entry.protocol(protocol, {**dict(recipe.parameters), **memory.parameters}))
    assert not has_spikes(entry.build().network), f"{name}: a spiking model without a protocol"
    return None


def everything() -> Program:
    """A network for which every kind of code is generated: sources, neurons, static and plastic synapses with delays, monitors, a switch."""
    cell = IFCurrExp(tau_m=10.0, cm=0.25, v_rest=-65.0, v_reset=-65.0, v_thresh=-50.0, tau_refrac=1.0, tau_syn_E=3.0, tau_syn_I=3.0)
    rule = STDP(SpikePairRule(10.0, 10.0, 0.1, 0.1), AdditiveWeightDependence(0.0, 1.0), "deferred", 2)
    delays = np.array([1.0, 2.0, 3.0, 1.0])
    network = Network(
        (Population("source", 2, SpikeSourceArray()), Population("cells", 2, cell)),
        (
            Projection("source", "cells", AllToAllConnector(), StaticSynapse(9.0, delays), name="static"),
            Projection("cells", "cells", AllToAllConnector(), StaticSynapse(0.5, delays), plasticity=rule, name="plastic"),
        ),
        (Stimulus("source", np.array([0, 1]), np.array([1.0, 4.0])),),
        (Probe("source"), Probe("cells"), Probe("cells", "v")),
    )
    return lower(network, dt=1.0, n_steps=12, drive=Drive(frozen=((8, 12),)))


def lonely() -> Program:
    """Two sources and nothing else: the least code."""
    network = Network((Population("source", 2, SpikeSourceArray()),), (), (), (Probe("source"),))
    return lower(network, dt=1.0, n_steps=3)


def state_of_brian2() -> Any:
    """All that Brian2 and Brian2CUDA keep for the whole process, and that the backend sets."""
    import brian2 as b2
    from brian2cuda.utils import gputools

    return (
        {name: b2.prefs[name] for name in b2.prefs},
        b2.get_device(),
        b2.defaultclock.dt,
        dict(gputools._cuda_installation),
        dict(gputools._gpu_selection),
        logging.getLogger("brian2.brian2cuda").level,
        sys.excepthook,
    )


def written(folder: Path) -> dict[str, str]:
    """The generated code, by file name."""
    return {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.suffix in (".cu", ".h") and "brianlib" not in f.parts}


@pytest.mark.parametrize("name", model_names())
def test_code_of_every_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = model_program(name)
    if program is None:
        text = "backend 'brian2cuda' will not do 'matrix': Brian2 simulates spikes; a memory without spikes runs on backend 'cpu' or 'reference'"
        with pytest.raises(UnsupportedError, match=f"^{re.escape(text)}$"):
            Brian2CudaBackend.support.require("matrix", "brian2cuda")
        return
    from brian2cuda.utils import gputools

    monkeypatch.setitem(gputools._cuda_installation, "cuda_path", "/elsewhere")
    before = state_of_brian2()
    files = generate(program, str(tmp_path), ARCHS, None)
    assert state_of_brian2() == before
    code = written(tmp_path)
    makefile = (tmp_path / "makefile").read_text()
    assert set(re.findall(r"^SRCS = (.*)$", makefile, re.MULTILINE)[0].split()) == {f for f in code if f.endswith(".cu")}
    assert "neurons_step_codeobject.cu" in " ".join(code)
    # every pathway adds to what arrives, and plastic ones come with a pathway for the spikes of their neurons
    static = {"static_sources", "static_neurons"} & {f.partition("/")[2].partition("_pre_codeobject")[0] for f in code}
    assert static
    for synapses in (*static, *files.weights):
        assert "_brian_atomicAdd(&_ptr_array_neurons_arriving_exc[_postsynaptic_idx]" in "".join(
            code.get(f"code_objects/{synapses}_{pathway}_codeobject.cu", "") for pathway in ("pre", "deliver")
        )
    assert all(f"code_objects/{synapses}_post_codeobject.cu" in code for synapses in files.weights)
    assert set(files.places) == {p.name for p in program.plastic}


def test_clocks_that_the_code_names_are_there(tmp_path: Path) -> None:
    """Brian2CUDA names the default clock whatever the clock of an object is."""
    generate(everything(), str(tmp_path), ARCHS, None)
    code = written(tmp_path)
    named = {clock for text in code.values() for clock in re.findall(r"\b(\w+)\.(?:timestep|t)\[0\]", text)} - {
        "clock"
    }  # a variable of network.cu
    assert named == set(re.findall(r"extern Clock (\w+);", code["objects.h"])) == {"defaultclock"}
    assert not any("clock.timestep[0]" in text.replace("defaultclock", "") for name, text in code.items() if "code_objects" in name)


def test_arithmetic_is_ieee_and_the_standard_is_new(tmp_path: Path) -> None:
    toolkit = Toolkit(make_toolkit(tmp_path / "cuda"), "13.0", ARCHS, (Path("/c/include"),), (Path("/c/lib"),))
    generate(everything(), str(tmp_path / "project"), ARCHS, toolkit)
    flags = dict(re.findall(r"^(NVCC|NVCCFLAGS|LFLAGS) = (.*)$", (tmp_path / "project/makefile").read_text(), re.MULTILINE))
    nvcc, host = flags["NVCCFLAGS"].split("-Xcompiler")
    assert flags["NVCC"] == f"@{tmp_path}/cuda/bin/nvcc -ccbin $(CXX)"
    assert [f for f in nvcc.split() if f.startswith("-std=")][-1] == "-std=c++17"
    assert re.findall(r"-std=\S+", host) == ["-std=c++17"]
    assert "--fmad=false" in nvcc.split()
    assert "-ffp-contract=off" in host
    assert "fast" not in " ".join(flags.values())
    assert "native" not in host
    assert "-I/c/include" in host
    both = {f"-gencode=arch=compute_80,code={arch}" for arch in ARCHS}
    assert {f for f in nvcc.split() if "arch" in f} == {f for f in flags["LFLAGS"].split() if "arch" in f} == both
    assert {"-L.", "-L/c/lib", "-rpath,/c/lib"} <= set(flags["LFLAGS"].split())
    assert "double" in (tmp_path / "project/objects.h").read_text()
    assert not any(re.search(r"\bfloat \*|<float>", text) for name, text in written(tmp_path / "project").items() if "neurons" in name)


def projection(**changes: Any) -> SimpleNamespace:
    """Unit 0 sends to unit 1 with delays of 1 and 3 steps: two groups of synapses."""
    made = SimpleNamespace(n_synapses=2, delay=np.array([1, 3]), pre=np.array([0, 0]), post=np.array([1, 1]), plasticity=None)
    return SimpleNamespace(**{**vars(made), **changes})


def fake_program(batch: int, *projections: SimpleNamespace) -> Any:
    return SimpleNamespace(n_units=2, batch=batch, projections=projections, probes=(), n_steps=10)


def test_the_heap_holds_the_queues() -> None:
    # 4 queues x 2 groups x 3 x 4 bytes = 96 bytes a replica
    assert heap_megabytes(fake_program(1, projection())) == 128
    assert heap_megabytes(fake_program(2**24, projection())) == 96 * 16
    assert heap_megabytes(fake_program(2**24 + 1, projection())) == 96 * 16 + 1
    # one group only, where delays are equal: 2 queues; and two pathways where it is plastic
    same = projection(delay=np.array([1, 1]))
    assert heap_megabytes(fake_program(2**24, same)) == 24 * 16
    assert heap_megabytes(fake_program(2**22, projection(plasticity="rule"), same, projection(n_synapses=0))) == (2 * 96 + 24) * 4
    # main.cu multiplies it by 2^20 in 32 bits
    assert heap_megabytes(fake_program(2**25, projection())) == 2047


def test_the_bytes_on_the_device() -> None:
    heap = 128 * 2**20
    assert device_bytes(fake_program(1, projection())) == heap + 2 * 36
    assert device_bytes(fake_program(5, projection(plasticity="rule"))) == heap + 5 * 2 * (88 + 8 * 3 + 20)
    assert device_bytes(fake_program(1, projection(plasticity="rule", delay=np.array([1, 1])))) == heap + 2 * 88
    recorded = fake_program(3)
    recorded.probes = (SimpleNamespace(size=4, variable="v"), SimpleNamespace(size=4, variable="spikes"))
    assert device_bytes(recorded) == heap + 8 * 4 * 10 * 3


def test_more_synapses_than_can_be_numbered() -> None:
    text = (
        "backend 'brian2cuda': 2147483648 synapses in all replicas; Brian2CUDA numbers at most 2147483647. "
        "Take a smaller memory or fewer replicas."
    )
    with pytest.raises(LimitError, match=f"^{re.escape(text)}$"):
        generate(fake_program(2**30, projection()), "nowhere", ARCHS, None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a device and a toolkit that are made up; return its nvcc."""
    if shutil.which("make") is None:
        pytest.skip("no make on the PATH")
    nvcc = make_toolkit(tmp_path / "cuda")
    monkeypatch.setattr(brian2cuda, "require_device", lambda backend: CARD)
    monkeypatch.setattr(brian2cuda, "find_toolkit", lambda: Toolkit(nvcc, "13.0", ("sm_75", *ARCHS, "sm_100"), (), ()))
    return nvcc


def test_the_architecture_is_the_devices_or_one_that_it_runs(machine: Path) -> None:
    assert Brian2CudaBackend().arch == "sm_90"
    assert Brian2CudaBackend(arch="sm_90").arch == "sm_90"
    assert set(Brian2CudaBackend().versions()) == {"brian2", "brian2cuda", "numpy", "cuda"}
    for arch in ("sm_80", "sm_100"):
        text = f"backend 'brian2cuda': arch = '{arch}'; expected one that Card 9000 runs: sm_90, or lower from sm_90 on."
        with pytest.raises(SpecError, match=f"^{re.escape(text)}$"):
            Brian2CudaBackend(arch=arch)
    with pytest.raises(SpecError, match=r"^arch 'H100'; expected an architecture such as sm_90 \(H100, H200\) or sm_80 \(A100\)\.$"):
        Brian2CudaBackend(arch="H100")


def test_a_program_that_the_device_cannot_hold(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brian2cuda, "require_device", lambda backend: replace(CARD, memory=2**20))
    text = (
        "backend 'brian2cuda': the program takes at least 128 MiB on the device; Card 9000 has 1 MiB. "
        "Take a smaller memory, fewer replicas or fewer recorded states."
    )
    with pytest.raises(LimitError, match=f"^{re.escape(text)}$"):
        Brian2CudaBackend().build(everything())


def test_brian2cuda_that_cannot_be_imported(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brian2cuda", None)
    text = (
        "backend 'brian2cuda': Brian2CUDA cannot be imported (import of brian2cuda halted; None in sys.modules); "
        "type: pip install 'neuromem[cuda]'"
    )
    with pytest.raises(BackendMissingError, match=f"^{re.escape(text)}$"):
        Brian2CudaBackend()


def test_what_a_whole_program_cannot_do(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = lonely()
    simulation = Brian2CudaBackend().build(program)
    nothing = np.empty(0, np.int64)
    text = "backend 'brian2cuda' will not do 'interactive': a CUDA program of Brian2CUDA runs as a whole; use backend 'cpu'"
    with pytest.raises(UnsupportedError, match=f"^{re.escape(text)}$"):
        simulation.advance(Schedule(1, nothing, nothing, nothing, np.ones(1, np.int8)))
    text = "backend 'brian2cuda' will not do 'save': a CUDA program of Brian2CUDA cannot be stopped between two steps; use backend 'cpu'"
    with pytest.raises(UnsupportedError, match=f"^{re.escape(text)}$"):
        simulation.save()
    folder = Path(simulation.directory)  # type: ignore[attr-defined]
    assert folder.is_dir()
    monkeypatch.setenv("MAIN", "echo 'ERROR: cudaSetDevice(0) failed : all CUDA-capable devices are busy or unavailable' >&2; exit 255")
    broken = Brian2CudaBackend().build(program)
    text = (
        "backend 'brian2cuda': the program ended with status 255: ERROR: cudaSetDevice(0) failed : all CUDA-capable devices are busy or "
        "unavailable (another process holds the device: nvidia-smi shows which)."
    )
    with pytest.raises(NeuromemError, match=f"^{re.escape(text)}$"):
        broken.run()
    assert broken.step == 0
    del simulation
    assert not folder.exists()


@pytest.mark.parametrize(
    ("status", "out", "err", "text"),
    [
        (255, "INFO x\n", "a\nb\nERROR: cudaMalloc failed at x.cu:1 : out of memory\n", "255: a / b / ERROR: cudaMalloc failed at x.cu:1 : out of memory (the memory of the device does not suffice: take a smaller memory or fewer replicas, or see with nvidia-smi who else uses it)."),
        (-6, "", "what():  device-side assert triggered\n", "-6: what():  device-side assert triggered."),
        (-9, "", "", "-9: it says nothing."),
        (0, "INFO y\nError writing output file for w.\n", "", "0: Error writing output file for w.."),
        (1, "ERROR initialising p in x.cu:1 no kernel image is available\n", "", "1: ERROR initialising p in x.cu:1 no kernel image is available (it was compiled for another architecture than the device has)."),
    ],
)  # fmt: skip
def test_a_program_that_fails(status: int, out: str, err: str, text: str) -> None:
    with pytest.raises(NeuromemError, match=f"^{re.escape(f"backend 'brian2cuda': the program ended with status {text}")}$"):
        check_end(subprocess.CompletedProcess(["main"], status, out, err))


def test_a_program_that_ends_well() -> None:
    check_end(subprocess.CompletedProcess(["main"], 0, "INFO _run_kernel\nNumber of spikes: 3\n", ""))


def test_progress_counts_files(machine: Path, tmp_path: Path) -> None:
    folder, heard = tmp_path / "project", list[tuple[int, int]]()
    generate(lonely(), str(folder), ARCHS, Toolkit(machine, "13.0", ARCHS, (), ()))
    compile_project(str(folder), lambda done, total: heard.append((done, total)))
    n = sum(f.endswith(".cu") for f in written(folder))
    assert heard[-1] == (n, n)
    assert heard == sorted(heard)


def test_code_that_does_not_compile_is_kept(machine: Path, tmp_path: Path) -> None:
    shutil.rmtree(machine.parent)
    said = 'case "$*" in *main.cu*) echo "main.cu(7): error: identifier \\"x\\" is undefined" >&2; exit 2;; esac; ' + COMPILES
    make_toolkit(tmp_path / "cuda", compiles=said)
    with pytest.raises(CompileError) as caught:
        CudaSimulation(lonely(), Toolkit(machine, "13.0", ARCHS, (), ()), ARCHS)
    kept = re.search(r"it is kept in (\S+)\. ", str(caught.value))
    assert kept is not None
    folder = Path(kept[1])
    try:
        assert str(caught.value) == (
            f"backend 'brian2cuda': the generated code does not compile: main.cu(7): error: identifier \"x\" is undefined; "
            f"it is kept in {folder}. To see it all type: make -C {folder} main.o"
        )
        assert (folder / "main.cu").is_file()
        again = subprocess.run(["make", "-C", str(folder), "main.o"], capture_output=True, text=True, check=False)
        assert "main.cu(7): error" in again.stderr
    finally:
        shutil.rmtree(folder)


def test_every_kind_of_code_compiles_for_both_architectures(tmp_path: Path) -> None:
    """The device pass of nvcc only, and once what is the same text but for names: queues of pathways, connections, monitors of spikes."""
    try:
        toolkit = find_toolkit()
    except BackendMissingError as missing:
        pytest.skip(str(missing))
    generate(everything(), str(tmp_path), ARCHS, toolkit)
    makefile = (tmp_path / "makefile").read_text()
    flags = re.findall(r"^NVCCFLAGS = (.*)$", makefile, re.MULTILINE)[0]
    sources = re.findall(r"^SRCS = (.*)$", makefile, re.MULTILINE)[0].split()
    assert {"static_sources_pre", "plastic_neurons_0_pre", "plastic_neurons_0_post", "plastic_neurons_0_deliver", "plastic_neurons_0_gate", "state_cells_v", "sources", "neurons_step"} <= {
        Path(source).stem.removesuffix("_codeobject") for source in sources
    }  # fmt: skip

    def device_pass(source: str) -> str:
        command = f"{toolkit.nvcc} {flags} -rdc=true -fatbin {source} -o {Path(source).stem}.fatbin"
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{source}: {done.stderr}"

    same = re.compile(r"(?:static_sources|plastic_neurons_0)_(?:(?:pre|post|deliver)_push|synapses_create)|spikes_(?:sources|neurons)")
    kinds = {same.sub("same", source): source for source in sources}
    assert len(sources) - len(kinds) == 8
    with ThreadPoolExecutor(jobs()) as pool:
        assert [text for text in pool.map(device_pass, kinds.values()) if text] == []
    pre = (tmp_path / "plastic_neurons_0_pre_codeobject.fatbin").read_bytes()
    assert pre.count(b"\x7fELF") == len(ARCHS)
