"""What an update did, and how quickly, beside what the same memory or disk can do at best."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """What ``update`` returns. Bytes are those of the weights: each counts once when it is read and once when it is written."""

    rule: str
    n_pairs: int
    shape: tuple[int, int]
    dtype: str
    engine: str
    threads: int
    place: str
    """``memory`` or ``files``."""
    bytes_read: int
    bytes_written: int
    seconds: float
    copy_bandwidth: float
    """Bytes read and written in a second of copying, in the same place: an array as large (at most 1 GiB, by as many threads), or some
    tiles of the same file, read, written and put on the disk one after the other."""
    saturated: int | None = None
    """Of int8: how many weights the update pushed to a bound or against it; None for float32."""
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

    def __str__(self) -> str:
        n_rows, n_columns = self.shape
        lines = [
            f"{self.rule}: {self.n_pairs} pair{'s' * (self.n_pairs != 1)} into {n_rows} x {n_columns} {self.dtype} in {self.place}, "
            f"engine {self.engine}, {self.threads} thread{'s' * (self.threads != 1)}, {self.n_tiles} tile{'s' * (self.n_tiles != 1)}",
            f"read {self.bytes_read / 1e9:.3g} GB, wrote {self.bytes_written / 1e9:.3g} GB in {self.seconds:.3g} s: {self.bandwidth / 1e9:.3g} GB/s, "
            f"{self.ratio:.2f} of the {self.copy_bandwidth / 1e9:.3g} GB/s of a copy measured here",
        ]
        if self.n_resumed:
            lines.append(f"{self.n_resumed} of {n_rows} rows had been finished before; the figures are of the others")
        if self.saturated is not None:
            total = n_rows * n_columns
            lines.append(f"{self.saturated} of {total} weights ({100 * self.saturated / total:.3g} %) were pushed to a bound or against it")
        return "\n".join(lines)
