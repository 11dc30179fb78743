"""CUDA toolkits that are made up: a folder with a script for nvcc, which answers questions and does what a test wants of a compiler."""

from __future__ import annotations

from pathlib import Path

TELLS = "Cuda compilation tools, release {release}, V{release}.88"

COMPILES = 'while [ "$1" != -o ]; do shift; done; [ "$2" = main ] && { echo "#!/bin/sh"; echo "$MAIN"; } > "$2" || : > "$2"; chmod +x "$2"'
"""Makes the file that it is asked for; the program ``main`` is a script with the text of the variable ``MAIN``."""


def make_toolkit(root: Path, release: str = "13.0", curand: bool = True, compiles: str = COMPILES) -> Path:
    """Write a toolkit to ``root``, with a cuRAND of its own or without; return its nvcc."""
    nvcc = root / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(
        f"""#!/bin/sh
case "$*" in
*--version*) echo "{TELLS.format(release=release) if release else "nothing"}" ;;
*--list-gpu-code*) printf 'sm_90\\nsm_75\\nsm_80\\nsm_100\\n' ;;
*-E*) exit {0 if curand else 1} ;;
*) {compiles} ;;
esac
"""
    )
    nvcc.chmod(0o755)
    return nvcc
