"""Tables of learned weights, one file for each way to keep them (see ``neuromem.ir.matrix_program``)."""

from __future__ import annotations

from neuromem.backends.tables.base import Kernels, Table
from neuromem.backends.tables.bits import BitTable
from neuromem.backends.tables.counts import CountTable
from neuromem.backends.tables.hidden import BipolarHidden, RealHidden
from neuromem.backends.tables.matrix import ProjectionMatrix, StorkeyMatrix
from neuromem.backends.tables.outer import OuterTable
from neuromem.backends.tables.patterns import PatternTable
from neuromem.backends.tables.rows import RowTable
from neuromem.backends.tables.traces import TraceTable
from neuromem.ir.matrix_program import MatrixProgram
from neuromem.spec.hebbian import BayesianHebbian, PseudoInverse, Storkey
from neuromem.spec.outer_product import OuterProductRule

_BY_STORAGE: dict[str, type[Table]] = {"bits": BitTable, "rows": RowTable, "patterns": PatternTable, "counts": CountTable}
_BY_RULE: dict[type, type[Table]] = {
    Storkey: StorkeyMatrix,
    PseudoInverse: ProjectionMatrix,
    BayesianHebbian: TraceTable,
    OuterProductRule: OuterTable,
}


def make_table(program: MatrixProgram, kernels: Kernels) -> Table:
    """Return the empty table of a Program."""
    if program.storage == "hidden":
        return (BipolarHidden if program.post.cell.alphabet == "bipolar" else RealHidden)(program, kernels)
    return _BY_STORAGE.get(program.storage, _BY_RULE.get(type(program.rule), Table))(program, kernels)
