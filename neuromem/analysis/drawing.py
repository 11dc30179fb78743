"""The drawing of a network: populations by role, projections by sign and plasticity, from sources to readout."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from neuromem.analysis.layers import Place, ends, is_source, lay_out
from neuromem.analysis.palette import role_colours, tint
from neuromem.analysis.picture import FONT, new_figure, save_figure, text_size
from neuromem.analysis.rules import brief, rule_lines
from neuromem.spec.hebbian import OneUnitPerPattern
from neuromem.spec.network import Network, Projection
from neuromem.spec.population import Population
from neuromem.spec.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

SHAPES = {"input": "arrow", "cue": "round", "content": "box", "gate": "hexagon", "interneuron": "ellipse", "readout": "double"}
COLUMN_GAP, MIN_WIDTH, NODE, PORT, SLANT = 0.85, 0.95, 0.52, 0.17, 0.1
LOOP, LOOP_STEP, MARGIN, HEAD, LINE = 0.3, 0.16, 0.3, 0.11, 0.18
EXCITATORY, INHIBITORY = "#3A3A3A", "#A3003A"


def draw_network(network: Network, path: FilePath | str, title: str = "") -> None:
    """Draw ``network`` and write it to ``path`` (.png, .svg or .pdf), replacing what is there.

    Raises ``FileError`` for another ending and ``StoreError`` when ``path`` cannot be written.
    """
    save_figure(network_figure(network, title), path)


def network_figure(network: Network, title: str = "") -> Figure:
    """Return the drawing as a matplotlib figure; its artists have gids such as ``node:s1_cue`` and ``edge:s1_cue>s1_cont``."""
    figure = new_figure(1.0, 1.0)
    loops: dict[str, list[Projection]] = defaultdict(list)
    degree: dict[tuple[str, str], int] = defaultdict(int)
    for projection in network.projections:
        pre, post = ends(projection)
        if pre == post:
            loops[pre].append(projection)
        else:
            degree[pre, "out"] += 1
            degree[post, "in"] += 1
    width = max([MIN_WIDTH, *(text_size(figure, p.name, 9.0, bold=True)[0] + 0.34 for p in network.populations)])
    width = max([width, *(text_size(figure, brief(p.cell), 8.0)[0] + 0.34 for p in network.populations if isinstance(p.cell, Unit))])
    height = {
        p.name: max(NODE + (LINE if isinstance(p.cell, Unit) else 0.0), PORT * (max(degree[p.name, "in"], degree[p.name, "out"]) + 1))
        for p in network.populations
    }
    above = {name: LOOP + LOOP_STEP * len(loops[name]) if loops[name] else 0.0 for name in height}
    places, routes = lay_out(network, {name: (h / 2 + above[name], h / 2) for name, h in height.items()})

    n_layers = max(place.layer for place in places.values()) + 1
    every = [*places.values(), *(place for route in routes.values() for place in route)]
    legend = legend_entries(network)
    heading = title or "Network"
    rules = rule_lines(network)
    wide = max(
        2 * MARGIN + n_layers * width + (n_layers - 1) * COLUMN_GAP,
        text_size(figure, heading, 12.0, bold=True)[0] + 2 * MARGIN,
        *(text_size(figure, line, 8.5)[0] + 2 * MARGIN for line in rules),
        5.5,
    )
    rows = legend_rows(figure, legend, wide - 2 * MARGIN)
    depth = max(place.y + place.below for place in every)
    top, bottom = 0.75 + LINE * len(rules), 0.35 + 0.26 * len(rows)
    figure.set_size_inches(wide, top + depth + bottom)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    left = (wide - n_layers * width - (n_layers - 1) * COLUMN_GAP) / 2
    axes.set_xlim(-left, wide - left)
    axes.set_ylim(depth + bottom, -top)
    x = {name: place.layer * (width + COLUMN_GAP) + width / 2 for name, place in places.items()}

    axes.text(MARGIN - left, -top + 0.15, heading, size=12, weight="bold", va="top", family=FONT, parse_math=False, gid="title")
    contents = f"{count(sum(p.size for p in network.populations), 'unit')} in {count(len(network.populations), 'population')}, {count(len(network.projections), 'projection')}"
    axes.text(MARGIN - left, -top + 0.4, contents, size=9, va="top", family=FONT, color="#444444", gid="subtitle")
    for number, line in enumerate(rules):
        y = -top + 0.6 + LINE * number
        axes.text(MARGIN - left, y, line, size=8.5, va="top", family=FONT, color="#444444", parse_math=False, gid=f"rule:{number}")
    shapes = {p.name: shape_of(p) for p in network.populations}
    ports = assign_ports(places, routes, height)
    for projection in network.projections:
        pre, post = ends(projection)
        if pre == post:
            level = loops[pre].index(projection)
            draw_loop(axes, projection, x[pre], places[pre].y - height[pre] / 2, level)
        else:
            draw_edge(axes, projection, routes[projection.name], ports[projection.name], width, shapes, height)
    colours = role_colours(p.role for p in network.populations)
    for population in network.populations:
        draw_node(axes, population, x[population.name], places[population.name].y, width, height[population.name], colours[population.role])
    draw_legend(axes, rows, MARGIN - left, depth + 0.3, colours)
    return figure


def count(n: int, noun: str) -> str:
    """Return ``1 cell``, ``2 cells``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def shape_of(population: Population) -> str:
    """Return the shape of a population: by role, sources always as an arrow."""
    return "arrow" if is_source(population) else SHAPES.get(population.role, "round")


def inset(shape: str, side: str, width: float, height: float, dy: float) -> float:
    """Return how far inside of the bounding box the border of a shape lies, ``dy`` from its middle."""
    share = min(abs(dy) / (height / 2), 1.0)
    if shape == "ellipse":
        return width / 2 * (1.0 - math.sqrt(1.0 - share**2))
    if shape == "hexagon" or (shape == "arrow" and side == "right"):
        return SLANT * share
    return 0.0


def assign_ports(places: dict[str, Place], routes: dict[str, list[Place]], height: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Return for each projection the y at which it leaves pre and enters post: side by side, in the order of where they lead."""
    at: dict[tuple[str, str], list[tuple[float, int, str, int]]] = defaultdict(list)
    for name, route in routes.items():
        for end, (here, there) in enumerate(((route[0], route[1]), (route[-1], route[-2]))):
            side = "right" if there.layer > here.layer else "left"
            at[here.name, side].append((there.y, end, name, end))
    ports: dict[str, list[float]] = {name: [0.0, 0.0] for name in routes}
    for (population, _), found in at.items():
        for i, (_, _, name, end) in enumerate(sorted(found)):
            ports[name][end] = places[population].y + height[population] * 0.8 * ((i + 0.5) / len(found) - 0.5)
    return {name: (leave, enter) for name, (leave, enter) in ports.items()}


def line_style(projection: Projection) -> dict[str, Any]:
    """Return how the line of a projection is drawn: colour by sign; thick and dashed where plastic."""
    return {
        "edgecolor": INHIBITORY if projection.receptor == "inhibitory" else EXCITATORY,
        "linewidth": 2.2 if projection.plasticity is not None else 1.1,
        "linestyle": (0, (4.0, 1.6)) if projection.plasticity is not None else "solid",
    }


def draw_edge(
    axes: Axes,
    projection: Projection,
    route: Sequence[Place],
    port: tuple[float, float],
    width: float,
    shapes: dict[str, str],
    height: dict[str, float],
) -> None:
    """Draw one projection from the side of pre to the side of post, through its places between."""
    forward = 1.0 if route[-1].layer > route[0].layer else -1.0
    pre, post = route[0], route[-1]
    leave, enter = ("right", "left") if forward > 0 else ("left", "right")

    def column(place: Place) -> float:
        return place.layer * (width + COLUMN_GAP) + width / 2

    begin = column(pre) + forward * (width / 2 - inset(shapes[pre.name], leave, width, height[pre.name], port[0] - pre.y))
    tip = column(post) - forward * (width / 2 - inset(shapes[post.name], enter, width, height[post.name], port[1] - post.y))
    points: list[Point] = [(begin, port[0]), (column(pre) + forward * width / 2, port[0])]
    for place in route[1:-1]:
        points += [(column(place) - forward * width / 2, place.y), (column(place) + forward * width / 2, place.y)]
    points += [(column(post) - forward * (width / 2 + HEAD), port[1]), (tip - forward * HEAD * 0.8, port[1])]
    draw_path(axes, projection, points)
    draw_head(axes, projection.receptor == "inhibitory", (tip, port[1]), (forward, 0.0))


def draw_path(axes: Axes, projection: Projection, points: Sequence[Point]) -> None:
    """Draw straight lines between the points of each pair, and curves with level ends from pair to pair."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices, codes = [points[0], points[1]], [Path.MOVETO, Path.LINETO]
    for (x0, y0), (x1, y1), after in zip(points[1::2], points[2::2], points[3::2], strict=False):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1), after]
        codes += [Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
    axes.add_patch(PathPatch(Path(vertices, codes), facecolor="none", zorder=2, gid=f"edge:{projection.name}", **line_style(projection)))


def draw_loop(axes: Axes, projection: Projection, x: float, y: float, level: int) -> None:
    """Draw a projection of a population on itself as a loop over it; each further one is wider and higher."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    half, high = 0.13 + 0.13 * level, (LOOP + LOOP_STEP * level) * 1.25
    vertices = [(x - half, y), (x - half * 1.8, y - high), (x + half * 1.8, y - high), (x + half, y - HEAD * 0.8)]
    path = Path(vertices, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    axes.add_patch(PathPatch(path, facecolor="none", zorder=2, gid=f"edge:{projection.name}", **line_style(projection)))
    draw_head(axes, projection.receptor == "inhibitory", (x + half, y), (0.0, 1.0))
    rule = projection.plasticity
    hidden = f"hidden units: {brief(rule.hidden, defaults=True)}" if isinstance(rule, OneUnitPerPattern) else ""
    note = hidden or (f"lag {rule.lag}" if getattr(rule, "lag", 0) else "")  # type: ignore[union-attr]
    axes.text(x + half * 1.8, y - high / 2, note, size=8, va="center", family=FONT, color="#333333", gid=f"note:{projection.name}")


def draw_head(axes: Axes, inhibitory: bool, tip: Point, direction: Point) -> None:
    """Draw a filled triangle for excitation, a bar across the line for inhibition."""
    from matplotlib.patches import Polygon

    (x, y), (dx, dy) = tip, direction
    colour = INHIBITORY if inhibitory else EXCITATORY
    if inhibitory:
        front, back = 0.012, 0.047
        corners = [(x - dx * b - dy * s, y - dy * b + dx * s) for b, s in ((front, 0.07), (front, -0.07), (back, -0.07), (back, 0.07))]
        axes.add_patch(Polygon([(x - dx * HEAD, y - dy * HEAD), (x, y)], closed=False, edgecolor=colour, linewidth=1.6, zorder=2.5))
    else:
        corners = [
            (x, y),
            (x - dx * HEAD - dy * 0.055, y - dy * HEAD + dx * 0.055),
            (x - dx * HEAD + dy * 0.055, y - dy * HEAD - dx * 0.055),
        ]
    axes.add_patch(
        Polygon(corners, facecolor=colour, edgecolor=colour, linewidth=0.5, zorder=3, gid="head:bar" if inhibitory else "head:triangle")
    )


def outline(axes: Axes, shape: str, x: float, y: float, width: float, height: float, colour: str, gid: str) -> None:
    """Draw the shape of a population, its middle at (x, y)."""
    from matplotlib.patches import Ellipse, FancyBboxPatch, Patch, Polygon, Rectangle

    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    patch: Patch
    if shape == "ellipse":
        patch = Ellipse((x, y), width, height)
    elif shape == "round":
        patch = FancyBboxPatch((left, top), width, height, boxstyle=f"round,pad=0,rounding_size={min(0.12, height / 3)}")
    elif shape in ("hexagon", "arrow"):
        tail = [(left + SLANT, bottom), (left, y), (left + SLANT, top)] if shape == "hexagon" else [(left, bottom), (left, top)]
        patch = Polygon([*tail, (right - SLANT, top), (right, y), (right - SLANT, bottom)])
    else:
        patch = Rectangle((left, top), width, height)
    patch.set(facecolor=tint(colour, 0.16), edgecolor=colour, linewidth=1.6, zorder=4, gid=gid)
    axes.add_patch(patch)
    if shape == "double":
        d = 0.045
        axes.add_patch(
            Rectangle((left + d, top + d), width - 2 * d, height - 2 * d, facecolor="none", edgecolor=colour, linewidth=0.9, zorder=4.1)
        )


def draw_node(axes: Axes, population: Population, x: float, y: float, width: float, height: float, colour: str) -> None:
    """Draw one population with its name and its size, and the kind of its units."""
    outline(axes, shape_of(population), x, y, width, height, colour, f"node:{population.name}")
    if isinstance(population.cell, Unit):
        y -= LINE / 2
        axes.text(
            x, y + 0.1 + LINE, brief(population.cell), size=8, ha="center", va="center", zorder=5,
            family=FONT, color="#333333", parse_math=False, gid=f"cell:{population.name}",
        )  # fmt: skip
    axes.text(x, y - 0.08, population.name, size=9, weight="bold", ha="center", va="center", zorder=5, family=FONT, parse_math=False)
    noun = "unit" if isinstance(population.cell, Unit) else "source" if is_source(population) else "cell"
    axes.text(
        x, y + 0.1, count(population.size, noun), size=8, ha="center", va="center", zorder=5,
        family=FONT, color="#333333", gid=f"size:{population.name}",
    )  # fmt: skip


Entry = tuple[str, Population | Projection]


def legend_entries(network: Network) -> list[Entry]:
    """Return one example of each role and of each kind of projection, with its text."""
    roles: dict[str, Population | Projection] = {}
    kinds: dict[str, Population | Projection] = {}
    for population in network.populations:
        roles.setdefault(population.role or ("sources" if is_source(population) else "cells"), population)
    for plastic in (False, True):
        for receptor in ("excitatory", "inhibitory"):
            for projection in network.projections:
                if projection.receptor == receptor and (projection.plasticity is not None) == plastic:
                    kinds.setdefault(effect(network, projection), projection)
    return [*roles.items(), *kinds.items()]


def effect(network: Network, projection: Projection) -> str:
    """Return what the legend calls a projection; weights of units without spikes have both signs."""
    if isinstance(network.population(ends(projection)[1]).cell, Unit):
        return "learned weights" if projection.plasticity is not None else "weights"
    sign = "excites" if projection.receptor == "excitatory" else "inhibits"
    return f"{sign}{', plastic' if projection.plasticity is not None else ''}"


def legend_rows(figure: Figure, entries: Sequence[Entry], width: float) -> list[list[tuple[float, Entry]]]:
    """Distribute the legend over rows of ``width`` inches; each entry with its x."""
    rows: list[list[tuple[float, Entry]]] = [[]]
    x = 0.0
    for entry in entries:
        length = 0.72 + text_size(figure, entry[0], 8.0)[0]
        if rows[-1] and x + length > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, entry))
        x += length
    return rows


def draw_legend(axes: Axes, rows: Sequence[Sequence[tuple[float, Entry]]], left: float, top: float, colours: dict[str, str]) -> None:
    """Draw the legend under the network."""
    for i, row in enumerate(rows):
        y = top + 0.26 * i
        for offset, (text, example) in row:
            x = left + offset
            if isinstance(example, Population):
                outline(axes, shape_of(example), x + 0.2, y, 0.34, 0.16, colours[example.role], f"legend:{text}")
            else:
                axes.plot(
                    [x, x + 0.4 - HEAD * 0.8], [y, y], color=INHIBITORY if example.receptor == "inhibitory" else EXCITATORY,
                    linewidth=line_style(example)["linewidth"], linestyle=line_style(example)["linestyle"], gid=f"legend:{text}",
                )  # fmt: skip
                draw_head(axes, example.receptor == "inhibitory", (x + 0.4, y), (1.0, 0.0))
            axes.text(x + 0.46, y, text, size=8, va="center", family=FONT, parse_math=False)
