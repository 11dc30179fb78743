"""Pictures and reports: rasters of runs, drawings of networks, and how far engines agree."""

from neuromem.analysis.agreement import AgreementReport, compare, draw_agreement
from neuromem.analysis.drawing import draw_network
from neuromem.analysis.raster import draw_raster

__all__ = ["AgreementReport", "compare", "draw_agreement", "draw_network", "draw_raster"]
