"""``--profile``: what a command took, and what went between host and device."""

from __future__ import annotations

import re

import emulated
import pytest
from cli_testing import say

from neuromem.cli.profile import report


def test_report_of_a_device() -> None:
    from types import SimpleNamespace

    class Counts(SimpleNamespace):
        def since(self, before: Counts) -> Counts:
            return Counts(**{name: value - getattr(before, name) for name, value in vars(self).items()})

    before = Counts(puts=1, bytes_to_device=1024, gets=1, bytes_to_host=1, launches=1)
    after = Counts(puts=4, bytes_to_device=3 * 2**20 + 1024, gets=3, bytes_to_host=513, launches=8)
    text = report(1.5, 2.25, before, after)
    assert re.sub(r"[\d.]+ [GM]iB at most", "N MiB at most", text) == (
        "profile\n"
        "time           1.50 s, of the processors 2.25 s\n"
        "memory         N MiB at most, of the host\n"
        "to the device  3 MiB in 3 transfers\n"
        "to the host    512 bytes in 2 transfers\n"
        "launches       7 kernels\n"
    )


@pytest.mark.parametrize("model", ["willshaw", "ca3-cam"])
def test_without_a_device(model: str) -> None:
    said = say("run", model, "--json", "--profile")
    assert said.status == 0
    assert re.sub(r"[\d.]+ (s|[KMG]iB|bytes)\b", r"# \1", said.err).replace("# GiB", "# MiB") == (
        "profile\ntime     # s, of the processors # s\nmemory   # MiB at most, of the host\ndevice   none is used: nothing is transferred\n"
    )


@pytest.mark.parametrize("model", ["willshaw", "ca3-cam"])
def test_transfers_to_a_device_are_counted(model: str) -> None:
    emulated.install()
    said = say("run", model, "--json", "--profile", "--backend", "cupy")
    assert said.status == 0
    lines = dict(line.split("  ", 1) for line in said.err.splitlines()[1:])
    for name in ("to the device", "to the host"):
        count = re.search(r"in (\d+) transfers", lines[name])
        assert count
        assert int(count[1]) > 0
    assert re.fullmatch(r"\s*[1-9]\d* kernels", lines["launches"])
