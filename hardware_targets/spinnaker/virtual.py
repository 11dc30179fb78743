"""The virtual mapping: an export's ``run.py`` goes through the real sPyNNaker, onto a board that is not there.

sPyNNaker places, routes and writes the memory images of all cores as for a real board, and leaves them in its report
folder: which cores there are, every synapse as the cores hold it, and where packets go.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from neuromem.errors import BackendMissingError, FileError, LimitError
from neuromem.hardware_targets.spinnaker.limits import Board
from neuromem.hardware_targets.spinnaker.script import SPYNNAKER

_CONFIGURATION = """\
[Machine]
virtual_board = True
version = {version}

[Mode]
mode = Production

[Reports]
default_report_file_path = {reports}
keep_dataspec_database = True
write_json_routing_tables = True
write_json_placements = True
keep_json_files = True
"""


def require_spynnaker() -> None:
    """Raise ``BackendMissingError`` where sPyNNaker is not installed, or another release than the one that was checked."""
    if find_spec("spynnaker") is None or find_spec("pyNN") is None:
        raise BackendMissingError("the virtual mapping needs sPyNNaker, which is not installed: pip install 'neuromem[spinnaker]'")
    try:
        found = version("sPyNNaker").rpartition("!")[2]  # without the epoch, as people write it
    except PackageNotFoundError:
        found = "of an unknown release"
    if found != SPYNNAKER:
        raise BackendMissingError(
            f"the virtual mapping: sPyNNaker {found} is installed; expected {SPYNNAKER}, whose mapping and binaries were checked: pip install 'neuromem[spinnaker]'"
        )


def last_error(text: str) -> str:
    """Return the last line that names an exception, as a traceback ends with it; else the last line: notices may follow a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = re.findall(r"^[A-Za-z_][\w.]*(?:Error|Exception)(?::.*)?$", text, re.MULTILINE)
    return (errors or lines or ["it says nothing"])[-1].strip()


@contextmanager
def virtual_mapping(package: Path, board: Board, *, states: bool = False) -> Iterator[Path]:
    """Yield the report folder of a mapping of the export in ``package`` onto a virtual board; it is removed afterwards.

    ``states`` records v and the currents of all cells too. Raises ``LimitError`` with sPyNNaker's error where it does
    not map, ``BackendMissingError`` without the sPyNNaker that was checked. Nothing in ``package`` or in the user's home changes.
    """
    require_spynnaker()
    script = package / "run.py"
    if not script.is_file():
        raise FileError(f"{script}: there is no such file; expected an export made by `neuromem export`.")
    with tempfile.TemporaryDirectory(prefix="neuromem-mapping-") as place:
        home, reports = Path(place) / "home", Path(place) / "reports"
        home.mkdir()
        reports.mkdir()
        (home / ".spynnaker.cfg").write_text(_CONFIGURATION.format(version=board["board.version"], reports=reports), encoding="utf-8")
        # its own home: sPyNNaker reads and writes configuration there, and two of them are an error
        environment = os.environ | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "xdg"),
            "PYTHONWARNINGS": "ignore",
            "MPLBACKEND": "agg",
        }
        command = [sys.executable, str(script.resolve()), "--results", str(Path(place) / "results"), *(["--states"] if states else [])]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        found = sorted(reports.rglob("run_1"))
        if done.returncode != 0 or not found:
            why = last_error(done.stderr) if done.returncode != 0 else "it wrote no report"
            raise LimitError(
                f"{package}: sPyNNaker does not map it ({why}); expected an export that maps: export it again, or, to see all that it says, "
                "run `python run.py` with `virtual_board = True` under [Machine] in ~/.spynnaker.cfg."
            )
        yield found[0]
