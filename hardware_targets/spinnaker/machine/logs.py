"""What a core has written to its log, as text.

A log is a chain of blocks ``{next, seconds, milliseconds, bytes used}`` with text behind. A line is the number of a message and
its arguments, separated by the character 0x1E; the messages are in a database of the package spinn_utilities.
"""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Mapping
from contextlib import closing
from functools import cache

from neuromem.hardware_targets.spinnaker.machine.image import package_folder
from neuromem.hardware_targets.spinnaker.machine.memory import Buffer

_SEPARATOR = "\x1e"
_PLACE = re.compile(r"%(?:%|[-+ #0]*\d*(?:\.\d+)?(?:hh|ll|h|l|z)?([a-zA-Z]))")


@cache
def _messages() -> Mapping[int, str]:
    database = package_folder("spinn_utilities") / "make_tools" / "logs.sqlite3"
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT log_id, original FROM log"))


def read_log(sdram: Buffer, block: int) -> tuple[str, ...]:
    """Return the lines of the log whose first block is at ``block`` (0: none yet)."""
    text = b""
    while block:
        following, _, _, used = struct.unpack("<4I", sdram.read(block, 16))
        text += sdram.read(block + 16, used)
        block = following
    return tuple(_line(line) for line in text.decode("latin-1").split("\n") if line)


def _line(line: str) -> str:
    """Return a line with its message in words; a line that is none of the known messages stays as it is."""
    number, *arguments = line.split(_SEPARATOR)
    message = _messages().get(int(number)) if number.isdigit() else None
    if message is None:
        return line.replace(_SEPARATOR, " ")
    waiting = iter(arguments)

    def fill(place: re.Match[str]) -> str:
        kind = place[1]
        if kind is None:
            return "%"
        argument = next(waiting, "?")
        if kind == "f":  # single precision, written as its bits
            return str(struct.unpack("!f", bytes.fromhex(argument.rjust(8, "0")))[0])
        if kind == "F":  # double precision, in two halves
            return str(struct.unpack("!d", bytes.fromhex(argument.rjust(8, "0") + next(waiting, "0").rjust(8, "0")))[0])
        return argument

    # the messages are kept as they stand in C, with escapes
    return _PLACE.sub(fill, message.encode("latin-1").decode("unicode_escape")).strip()
