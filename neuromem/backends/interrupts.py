"""Ctrl-C while something compiles."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_interrupts() -> Iterator[None]:
    """Hear Ctrl-C only when the block has ended, instead of an error that it may have caused there.

    Compilers do not survive an exception in their middle: numba leaves half a function behind,
    and make reports its own end as a failure to compile.
    """
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to that one only
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    except BaseException:
        if heard:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
    if heard:
        raise KeyboardInterrupt
