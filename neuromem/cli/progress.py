"""A progress bar on standard error, for runs that take long enough to ask for one."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"""Seconds before a bar appears."""


class ProgressBar:
    """Called with (steps done, steps in all), or of ``what`` else there is; shows nothing when standard error is no terminal."""

    def __init__(self, what: str = "steps") -> None:
        self.what = what
        self._began = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show how far the run is."""
        if self._shown is None:
            if not sys.stderr.isatty() or time.monotonic() - self._began < PATIENCE:
                return
            from rich.console import Console
            from rich.progress import Progress

            progress = Progress(console=Console(stderr=True), transient=True)
            progress.start()
            self._shown = progress, progress.add_task(self.what, total=total)
        progress, task = self._shown
        progress.update(task, completed=done, total=total)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown is not None:
            self._shown[0].stop()
