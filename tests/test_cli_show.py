"""``neuromem show`` and ``neuromem list``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_testing import golden, say

from neuromem.backends import BACKENDS
from neuromem.errors import BackendMissingError
from neuromem.ir import lower_memory
from neuromem.models import ca3_cam
from neuromem.models.ca3_cam import stress


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(suffix, title) of the networks that were drawn, each under a name of its own first; the picture itself is the drawing's own test."""
    found: list[tuple[str, str]] = []

    def draw(network: object, path: Path, title: str = "") -> None:
        found.append((path.suffix, title))
        path.write_text("picture")

    monkeypatch.setattr("neuromem.analysis.drawing.draw_network", draw)
    return found


PARAMETERS = """\
ca3-cam: Spiking content-addressable memory of hippocampal CA3

parameters
  n_cues           2
  n_content        3
  post_history     15
  self_inhibition  False

"""
PROTOCOLS = """\
protocols
  functional
  stress  (below)
  state_map

"""


def test_parameters_program_and_drawing(drawn: list[tuple[str, str]]) -> None:
    said = say("show", "ca3-cam", "--protocol", "stress", "--set", "n_cues=2", "--set", "n_content=3", "--set", "post_history=15")
    program = lower_memory(ca3_cam(2, 3, 15), stress(2, 3))
    assert (said.status, said.err) == (0, "")
    about, protocols, rest = said.out.partition("protocols\n")
    assert about.startswith(f"{PARAMETERS}about\n  The spiking content-addressable memory of hippocampal CA3 ")
    assert protocols + rest == f"{PROTOCOLS}{program}drawing: ca3-cam-network.png\n"
    assert Path("ca3-cam-network.png").read_text() == "picture"
    assert drawn == [(".png", "Spiking content-addressable memory of hippocampal CA3")]


def test_the_default_drawing_is_replaced_only_with_force(drawn: list[tuple[str, str]]) -> None:
    Path("ca3-cam-network.png").write_text("mine")
    said = say("show", "ca3-cam")
    assert said.status == 0
    assert said.err == (
        "no network is drawn: ca3-cam-network.png: it exists already; expected a new name, or --force to replace it. "
        "(Or: --drawing other.png, or --no-drawing.)\n"
    )
    assert Path("ca3-cam-network.png").read_text() == "mine"
    assert say("show", "ca3-cam", "--force").out.endswith("drawing: ca3-cam-network.png\n")
    assert say("show", "ca3-cam", "--drawing", "other.pdf").status == 0
    assert [suffix for suffix, _ in drawn] == [".png", ".pdf"]
    assert Path("ca3-cam-network.png").read_text() == Path("other.pdf").read_text() == "picture"


def test_nothing_is_drawn_if_nothing_is_asked_for(drawn: list[tuple[str, str]]) -> None:
    assert say("show", "ca3-cam", "--no-drawing").status == 0
    assert say("show", "ca3-cam", "--citations").out == (
        "ca3-cam: Spiking content-addressable memory of hippocampal CA3\n  https://doi.org/10.1016/j.neunet.2024.106474\n"
    )
    assert (drawn, list(Path().iterdir())) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--drawing", "there.png"), "there.png: it exists already; expected a new name, or --force to replace it."),
        (("--drawing", "a.gif"), "a.gif: a picture that ends in '.gif'; expected one of .pdf, .png, .svg."),
        (("--set", "n_cues=none"), "ca3_cam: n_cues = None; expected a whole number, at least 1."),
    ],
)
def test_errors(arguments: tuple[str, ...], message: str) -> None:
    Path("there.png").write_text("mine")
    said = say("show", "ca3-cam", *arguments)
    assert (said.status, said.out, said.err) == (1, "", f"error: {message}\n")


def test_a_model_without_protocols_is_shown_too() -> None:
    Path("bare.py").write_text("from neuromem.models import ca3_cam\n")
    said = say("show", "bare.py:ca3_cam", "--no-drawing")
    assert said.status == 0
    assert "\ndt 1 ms, 0 steps, batch 1, seed 0, longest delay 3 steps\n" in said.out
    assert "protocols" not in said.out


def test_list(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def __init__(self) -> None:
            raise BackendMissingError("brian2 is not installed: pip install 'neuromem[brian2]'")

    class There:
        def versions(self) -> dict[str, str]:
            return {"numpy": "2.1", "numba": "0.62"}

    monkeypatch.setattr("neuromem.backends.backend_class", (dict.fromkeys(BACKENDS, There) | {"brian2": Missing}).__getitem__)
    monkeypatch.setattr("neuromem.cli.list.experiments", lambda: [("ca3_a", "What it shows.")])
    assert list(BACKENDS) == ["reference", "cpu", "brian2", "brian2cuda", "cupy", "spinnaker-emulator"]
    said = say("list")
    assert (said.status, said.out, said.err) == (0, golden("cli_list.txt"), "")


def test_every_experiment_says_what_it_is() -> None:
    from neuromem.cli.list import experiments

    found = dict(experiments())
    assert "ca3_safe_gaps" in found
    assert all(text.endswith((".", "?")) for text in found.values()), found


def test_a_drawing_never_replaces_what_appeared_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(network: object, path: Path, title: str = "") -> None:
        Path("net.png").write_text("precious")
        path.write_text("picture")

    monkeypatch.setattr("neuromem.analysis.drawing.draw_network", draw)
    said = say("show", "ca3-cam", "--drawing", "net.png")
    assert said.status == 1
    assert said.err.startswith("error: net.png: ")
    assert Path("net.png").read_text() == "precious"


def without_documentation(text: str) -> str:
    """Return what is shown without the section ``about``, which is the model's docstrings."""
    before, _, after = text.partition("about\n")
    return before + after[after.index("protocols\n") :]


def test_a_memory_without_spikes(drawn: list[tuple[str, str]]) -> None:
    said = say("show", "hopfield", "--set", "n=100", "--protocol", "trial")
    assert (said.status, without_documentation(said.out), said.err) == (0, golden("cli_show_hopfield.txt"), "")
    assert drawn == [(".png", "Hopfield network, hebb rule")]
    assert Path("hopfield-network.png").read_text() == "picture"


@pytest.mark.parametrize("name", ["hopfield", "willshaw", "bcpnn", "dense", "hetero", "sequence"])
def test_every_model_is_shown(name: str) -> None:
    said = say("show", name, "--drawing", "net.svg")
    assert (said.status, said.err) == (0, "")
    assert f"program: {name}, " in said.out
    assert "learned weights" in Path("net.svg").read_text()


def test_a_memory_without_trials_tells_what_it_takes_when_empty() -> None:
    Path("bare.py").write_text("from neuromem.models import willshaw\n")
    assert say("show", "bare.py:willshaw", "--no-drawing").out.splitlines()[-1] == "memory 8 KiB"


def test_the_documentation_of_the_model_stands_under_its_parameters() -> None:
    said = say("show", "willshaw", "--no-drawing").out
    assert "  k             none (8)\n  n_content     none\n" in said
    assert "\nabout\n  The Willshaw network: binary synapses, " in said
    assert "\n  winners or threshold, which is one step. " in said
    assert "``" not in said
    table = say("show", "hetero", "--no-drawing").out.splitlines()
    rows = [line for line in table if line.startswith(("  loss  ", "  retention  ", "  step  ")) and "(" in line]
    assert {line.find("dot") for line in rows if "dot" in line} == {17}
