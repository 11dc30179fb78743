"""The virtual mapping: an export's ``run.py`` goes through the real sPyNNaker, onto a board that is not there.

sPyNNaker places, routes and writes the memory images of all cores as for a real board, and leaves them in its report
folder: which cores there are, every synapse as the cores hold it, and where packets go.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from neuromem.errors import BackendMissingError, FileError, LimitError
from neuromem.hardware_targets.spinnaker.limits import Board

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
    """Raise ``BackendMissingError`` where sPyNNaker is not installed."""
    if find_spec("spynnaker") is None or find_spec("pyNN") is None:
        raise BackendMissingError("the virtual mapping needs sPyNNaker, which is not installed: pip install 'neuromem[spinnaker]'")


@contextmanager
def virtual_mapping(package: Path, board: Board, *, states: bool = False) -> Iterator[Path]:
    """Yield the report folder of a mapping of the export in ``package`` onto a virtual board; it is removed afterwards.

    ``states`` records v and the currents of all cells too. Raises ``LimitError`` with sPyNNaker's last words where it does
    not map, ``BackendMissingError`` without sPyNNaker. Nothing in ``package`` or in the user's home changes.
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
            last = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:] or ["it says nothing"]
            raise LimitError(f"{package}: sPyNNaker does not map it ({last[0].strip()}); expected a network that fits: see REPORT.md.")
        yield found[0]
