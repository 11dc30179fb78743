"""Learning in matrices of any size: in memory, or in files larger than it, tile by tile."""

from neuromem.large.matrices import new_matrix
from neuromem.large.report import Report
from neuromem.large.rules import HebbBatch
from neuromem.large.update import UpdateInterrupted, update

__all__ = ["HebbBatch", "Report", "UpdateInterrupted", "new_matrix", "update"]
