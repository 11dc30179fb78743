"""Figures without a display and without matplotlib's global state, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuromem.errors import FileError, StoreError, listing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"  # comes with matplotlib, and has the marks for right and wrong
DPI = 120
_METADATA: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` x ``height`` inches on an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def text_size(figure: Figure, text: str, size: float, bold: bool = False) -> tuple[float, float]:
    """Return width and height in inches of ``text`` (lines allowed) at ``size`` points, on a figure of ``new_figure``."""
    from matplotlib.font_manager import FontProperties

    canvas: Any = figure.canvas  # matplotlib declares no types for the measuring of text
    measure = canvas.get_renderer().get_text_width_height_descent
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    lines = text.split("\n")
    width = max(measure(line or " ", font, ismath=False)[0] for line in lines)
    return float(width) / DPI, len(lines) * size * 1.25 / 72.0


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write ``figure`` to ``path`` (.png, .svg or .pdf) under a temporary name, then rename it.

    What stands at ``path`` is replaced. Raises ``FileError`` for another ending and ``StoreError`` when
    it cannot be written; ``path`` is then as it was.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    if kind not in _METADATA:
        raise FileError(f"{path}: a picture that ends in {path.suffix!r}; expected one of {listing('.' + k for k in _METADATA)}.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            figure.savefig(part, format=kind, dpi=DPI, metadata=_METADATA[kind])
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path}: the picture cannot be written ({error.strerror or error}); expected a folder that exists, may be written and has room."
        ) from error
