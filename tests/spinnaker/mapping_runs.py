"""Mappings made by sPyNNaker on a virtual board, for the emulated one to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CONFIGURATION = """
[Machine]
virtual_board = True
version = 5
[Mode]
mode = Production
[Reports]
default_report_file_path = {reports}
keep_dataspec_database = True
write_json_routing_tables = True
write_json_placements = True
keep_json_files = True
max_reports_kept = 1000
"""

MAKER = """
import json, pathlib, runpy, sys
import pyNN.spiNNaker as sim
folders, known = {}, set()
for name in json.loads(sys.argv[1]):
    runpy.run_path(name + ".py")
    sim.end()
    (folder,) = set(pathlib.Path("reports").glob("*/run_1")) - known
    known.add(folder)
    folders[name] = str(folder.resolve())
pathlib.Path("folders.json").write_text(json.dumps(folders))
"""


def make_mappings(home: Path, scripts: dict[str, str]) -> dict[str, Path]:
    """Run PyNN scripts, one after the other in one process that has ``home`` as its private HOME.

    Returns the folder ``run_1`` of the reports of each.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / ".spynnaker.cfg").write_text(CONFIGURATION.format(reports=home))
    for name, script in scripts.items():
        (home / f"{name}.py").write_text(script)
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "xdg")}
    command = [sys.executable, "-c", MAKER, json.dumps(list(scripts))]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the mappings in {home} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return {name: Path(folder) for name, folder in json.loads((home / "folders.json").read_text()).items()}
