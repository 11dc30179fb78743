"""What an update did, and how quickly, beside what the same memory or disk can do at best."""

from __future__ import annotations

from dataclasses import dataclass

from neuromem.ir.memory_needed import bytes_text

LEAST = 1 << 26  # bytes moved, below which most of the seconds are start-up


@dataclass(frozen=True)
class Report:
    """What ``update`` returns. Bytes are those of the weights: each counts once when it is read and once when it is written."""

    rule: str
    n_pairs: int
    shape: tuple[int, int]
    dtype: str
    engine: str
    threads: int
    """How many worked: no more than there are tiles."""
    place: str
    """``memory`` or ``files``."""
    bytes_read: int
    bytes_written: int
    seconds: float
    copy_bandwidth: float
    """Bytes read and written in a second of copying, in the same place: an array as large (at most 1 GiB, by as many threads), or some
    tiles of the same file, read, written and put on the disk one after the other. An update does tiles side by side, and may be quicker."""
    copy_bytes: int
    """Bytes of what was copied."""
    saturated: int | None = None
    """Of int8: how many weights the update pushed to a bound or against it; None for float32."""
    beyond: int = 0
    """Of int8: how many weights lay beyond the bounds before the update."""
    n_tiles: int = 1
    n_resumed: int = 0
    """Rows that an earlier, interrupted command had finished."""

    @property
    def bandwidth(self) -> float:
        """Bytes read and written in a second."""
        return (self.bytes_read + self.bytes_written) / self.seconds if self.seconds > 0 else 0.0

    @property
    def ratio(self) -> float:
        """``bandwidth`` in ``copy_bandwidth``."""
        return self.bandwidth / self.copy_bandwidth if self.copy_bandwidth > 0 else 0.0

    def _comparison(self) -> str:
        if self.bytes_read + self.bytes_written < LEAST:
            return "too little to be held against a copy"
        how = f"{bytes_text(self.copy_bytes)} of it" + (", one tile after the other" if self.place == "files" else "")
        return f"{self.ratio:.2f} of the {self.copy_bandwidth / 1e9:.3g} GB/s of a copy measured here ({how})"

    def __str__(self) -> str:
        n_rows, n_columns = self.shape
        lines = [
            f"{self.rule}: {self.n_pairs} pair{'s' * (self.n_pairs != 1)} into {n_rows} x {n_columns} {self.dtype} in {self.place}, "
            f"engine {self.engine}, {self.threads} thread{'s' * (self.threads != 1)}, {self.n_tiles} tile{'s' * (self.n_tiles != 1)}",
            f"read {self.bytes_read / 1e9:.3g} GB, wrote {self.bytes_written / 1e9:.3g} GB in {self.seconds:.3g} s: {self.bandwidth / 1e9:.3g} GB/s, "
            f"{self._comparison()}",
        ]
        if self.n_resumed:
            lines.append(f"{self.n_resumed} of {n_rows} rows had been finished before; the figures are of the others")
        if self.saturated is not None:
            total = n_rows * n_columns
            lines.append(f"{self.saturated} of {total} weights ({100 * self.saturated / total:.3g} %) were pushed to a bound or against it")
        if self.beyond:
            lines.append(f"{self.beyond} weights lay beyond the bounds before, and were clipped to them")
        return "\n".join(lines)
