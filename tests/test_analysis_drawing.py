"""The drawing of a network, and its layout."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromem.analysis.drawing import EXCITATORY, INHIBITORY, draw_network, network_figure
from neuromem.analysis.layers import Place, crossings, ends, lay_out, layer_numbers, order_layers, stack
from neuromem.models import bcpnn, ca3_cam, dense, hetero, hopfield, sequence, willshaw
from neuromem.spec import (
    STDP,
    AdditiveWeightDependence,
    AllToAllConnector,
    IFCurrExp,
    MemoryModel,
    Network,
    Population,
    Projection,
    SpikePairRule,
    SpikeSourcePoisson,
    StaticSynapse,
)

RULE = STDP(SpikePairRule(), AdditiveWeightDependence())


def projection(pre: str, post: str, receptor: str = "excitatory", plastic: bool = False, name: str = "") -> Projection:
    return Projection(pre, post, AllToAllConnector(), StaticSynapse(0.1), receptor, RULE if plastic else None, name)  # type: ignore[arg-type]


def network(names: str, *projections: Projection) -> Network:
    return Network(tuple(Population(name, 3, IFCurrExp()) for name in names.split()), projections)


BALANCED = Network(
    (
        Population("noise", 800, SpikeSourcePoisson(rate=8.0), "noise"),
        Population("exc", 80, IFCurrExp(), "excitatory"),
        Population("inh", 1, IFCurrExp(), "inhibitory"),
        Population("reader", 10, IFCurrExp(), "readout"),
    ),
    (
        projection("noise", "exc"),
        projection("noise", "inh"),
        projection("exc", "exc", plastic=True),
        projection("exc", "inh"),
        projection("inh", "exc", "inhibitory"),
        projection("inh", "inh", "inhibitory"),
        projection("exc", "reader"),
        projection("exc", "reader", plastic=True, name="second"),
        projection("exc", "reader", "inhibitory", name="third"),
    ),
)


def gids(figure: Any, prefix: str) -> dict[str, Any]:
    return {a.get_gid().removeprefix(prefix): a for a in figure.axes[0].get_children() if (a.get_gid() or "").startswith(prefix)}


def curve(patch: Any) -> np.ndarray:
    """Return points along a projection's line."""
    points: np.ndarray = patch.get_path().interpolated(1).to_polygons(closed_only=False)[0]
    long: np.ndarray = np.concatenate([np.linspace(a, b, 20) for a, b in itertools.pairwise(points)])
    return long


def box(patch: Any) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of a node."""
    corners = patch.get_patch_transform().transform_path(patch.get_path()).get_extents()
    return corners.x0, corners.x1, min(corners.y0, corners.y1), max(corners.y0, corners.y1)


@pytest.mark.parametrize("drawn", [ca3_cam(5, 10).network, ca3_cam(64, 32).network, BALANCED, network("a"), network("a b")])
def test_every_population_is_a_node_with_its_size_and_every_projection_an_edge(drawn: Network) -> None:
    figure = network_figure(drawn, "title")
    assert set(gids(figure, "node:")) == {p.name for p in drawn.populations}
    assert set(gids(figure, "edge:")) == {p.name for p in drawn.projections}
    texts = {name: t.get_text() for name, t in gids(figure, "size:").items()}
    for p in drawn.populations:
        assert texts[p.name] == f"{p.size} {'cell' if p.cell.state else 'source'}{'' if p.size == 1 else 's'}"
    assert gids(figure, "title")[""].get_text() == "title"


def test_sign_and_plasticity_show_in_the_line_and_the_head() -> None:
    figure = network_figure(BALANCED)
    edges = gids(figure, "edge:")
    for p in BALANCED.projections:
        patch = edges[p.name]
        assert patch.get_linewidth() == (2.2 if p.plasticity else 1.1)
        assert (patch.get_linestyle() == "solid") == (p.plasticity is None)
    colours = {name: tuple(patch.get_edgecolor()) for name, patch in edges.items()}
    assert colours["inh>exc:inh"] == colours["third"] != colours["exc>inh"] == colours["second"]
    assert EXCITATORY != INHIBITORY
    heads = [a.get_gid() for a in figure.axes[0].get_children() if (a.get_gid() or "").startswith("head:")]
    in_legend = {"head:bar": 1, "head:triangle": 2}
    assert heads.count("head:bar") == 3 + in_legend["head:bar"]
    assert heads.count("head:triangle") == 6 + in_legend["head:triangle"]


def test_the_legend_names_roles_and_kinds_that_occur() -> None:
    assert list(gids(network_figure(BALANCED), "legend:")) == [
        "noise", "excitatory", "inhibitory", "readout", "excites", "inhibits", "excites, plastic",
    ]  # fmt: skip
    assert list(gids(network_figure(network("a")), "legend:")) == ["cells"]


def test_parallel_projections_are_separate_curves() -> None:
    edges = gids(network_figure(BALANCED), "edge:")
    for a, b in itertools.combinations(("exc>reader", "second", "third"), 2):
        assert np.min(np.abs(curve(edges[a])[[0, -1], 1] - curve(edges[b])[[0, -1], 1])) > 0.1


def test_loops_stand_over_their_population_each_higher_than_the_one_before() -> None:
    names = [f"loop{i}" for i in range(3)]
    figure = network_figure(network("a", *(projection("a", "a", name=name) for name in names)))
    top = box(gids(figure, "node:")["a"])[2]
    heights = [top - curve(gids(figure, "edge:")[name])[:, 1].min() for name in names]
    assert heights[0] > 0.2
    assert heights[0] < heights[1] - 0.1
    assert heights[1] < heights[2] - 0.1
    assert figure.axes[0].get_ylim()[1] < top - heights[2]  # within the picture


@pytest.mark.parametrize("drawn", [ca3_cam(5, 10).network, BALANCED])
def test_no_projection_runs_through_another_population(drawn: Network) -> None:
    figure = network_figure(drawn)
    boxes = {name: box(node) for name, node in gids(figure, "node:").items()}
    for p in drawn.projections:
        points = curve(gids(figure, "edge:")[p.name])
        for name, (left, right, top, bottom) in boxes.items():
            inside = (points[:, 0] > left) & (points[:, 0] < right) & (points[:, 1] > top) & (points[:, 1] < bottom)
            assert name in ends(p) or not inside.any(), (p.name, name)


def test_texts_stay_within_the_picture() -> None:
    for drawn in (ca3_cam(5, 10).network, BALANCED, network("a")):
        figure = network_figure(drawn, "A title that is much longer than the drawing of one population would be wide")
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        for text in figure.axes[0].texts:
            extent = text.get_window_extent(renderer)
            assert extent.x0 >= 0 <= extent.y0
            assert extent.x1 <= figure.bbox.x1
            assert extent.y1 <= figure.bbox.y1


def test_layers_of_the_ca3_memory_run_from_input_to_readout() -> None:
    drawn = ca3_cam(5, 10).network
    layer = layer_numbers(drawn)
    assert layer == {
        "in": 0, "s1_cue": 1, "s1_cont": 2, "s2_int": 3, "s2_cond": 4, "s2_cont": 5, "s2_cue": 6, "merge_cont": 6, "merge_cue": 7, "out": 8,
    }  # fmt: skip
    for p in drawn.projections:  # it has no cycle but the loop of s2_cue
        pre, post = ends(p)
        assert layer[pre] < layer[post] or pre == post == "s2_cue"


def test_cycles_are_cut_where_they_lead_back_to_the_sources() -> None:
    assert layer_numbers(BALANCED) == {"noise": 0, "exc": 1, "inh": 2, "reader": 2}
    ring = network("c a b", projection("a", "b"), projection("b", "c"), projection("c", "a"))
    assert layer_numbers(ring) == {"c": 0, "a": 1, "b": 2}
    assert layer_numbers(network("a b", projection("a", "a"))) == {"a": 0, "b": 0}


def test_a_projection_has_a_place_in_every_layer_that_it_spans() -> None:
    drawn = network("a b c d", projection("a", "b"), projection("b", "c"), projection("c", "d"), projection("a", "d"))
    places, routes = lay_out(drawn, dict.fromkeys("abcd", (0.3, 0.2)))
    assert [(p.layer, p.is_way) for p in routes["a>d"]] == [(0, False), (1, True), (2, True), (3, False)]
    assert routes["a>d"][0] is places["a"]
    assert routes["a>d"][-1] is places["d"]
    for layer in range(4):
        here = {id(p): p for route in routes.values() for p in route if p.layer == layer}
        ordered = sorted(here.values(), key=lambda p: p.y)
        assert all(low.y + low.below <= high.y - high.above + 1e-9 for low, high in itertools.pairwise(ordered))


def test_a_projection_that_leads_back_runs_from_right_to_left() -> None:
    ring = network("a b c", projection("a", "b"), projection("b", "c"), projection("c", "a"))
    _, routes = lay_out(ring, dict.fromkeys("abc", (0.3, 0.2)))
    assert [p.layer for p in routes["c>a"]] == [2, 1, 0]
    line = curve(gids(network_figure(ring), "edge:")["c>a"])
    assert line[0, 0] > line[-1, 0]


def test_ordering_removes_a_crossing() -> None:
    a, b, c, d = (Place(name, layer) for name, layer in (("a", 0), ("b", 0), ("c", 1), ("d", 1)))
    for left, right in ((a, d), (b, c)):
        left.after.append(right)
        right.before.append(left)
    layers = [[a, b], [c, d]]
    assert crossings(layers) == 1
    order_layers(layers)
    assert crossings(layers) == 0


def test_stack_is_the_least_squares_that_keeps_room() -> None:
    layer = [Place(str(i), 0, above=0.5, below=0.34) for i in range(3)]  # with the gap of 0.16, middles 1 apart at least
    stack(layer, [0.0, 5.0, 9.0])
    assert [p.y for p in layer] == pytest.approx([0.0, 5.0, 9.0])
    stack(layer, [0.0, 0.0, 9.0])
    assert [p.y for p in layer] == pytest.approx([-0.5, 0.5, 9.0])
    stack(layer, [4.0, 2.0, 0.0])
    assert [p.y for p in layer] == pytest.approx([1.0, 2.0, 3.0])


def test_the_drawing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "net.png"
    draw_network(ca3_cam(5, 10).network, path, title="CA3")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["net.png"]


def test_memories_without_spikes_are_a_loop_or_two_boxes() -> None:
    loop = network_figure(hopfield(30).network).axes[0]
    assert [text.get_text() for text in loop.texts if text.get_gid() == "size:units"] == ["30 units"]
    assert "legend:learned weights" in {line.get_gid() for line in loop.lines}
    pair = network_figure(hetero(30, 20).network).axes[0]
    x = {patch.get_gid(): patch.get_window_extent().x0 for patch in pair.patches if str(patch.get_gid()).startswith("node:")}
    assert x["node:cue"] < x["node:content"]
    assert [text.get_text() for text in pair.texts if str(text.get_gid()).startswith("size:")] == ["30 units", "20 units"]


def test_networks_without_spikes_tell_their_rule_cells_lag_and_hidden_units() -> None:
    def texts(memory: MemoryModel) -> list[str]:
        return [t.get_text() for t in network_figure(memory.network).axes[0].texts]

    assert {"units>units: Hebbian, no self-connections", "Sign"} <= set(texts(hopfield(50)))
    assert {"KWinners(k=6)", "units>units: ClippedHebbian, all connections"} <= set(texts(willshaw(50)))
    assert {"SoftWTA(groups=5)", "units>units: BayesianHebbian(prior=1.0), no connections within each of 5 groups"} <= set(
        texts(bcpnn(50, 5))
    )
    assert {"lag 1", "each pattern is associated with the one that follows it"} <= set(texts(sequence(50)))
    assert "hidden units: Polynomial(power=4)" in texts(dense(50, power=4))
    rule = "OuterProductRule(loss=SquaredError, retention=Keep, step=PlainStep(rate=0.5))"
    assert {f"cue>content: {rule}, all connections", "Linear"} <= set(texts(hetero(50, loss="squared", rate=0.5)))
