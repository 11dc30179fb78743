"""The number of set bits of a word, as LLVM's ``ctpop``: numba has none, and this one becomes vector instructions."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def _popcount(_typing_context, word):
    """Return the number of set bits of a uint64, as a uint64."""
    if word != types.uint64:
        raise TypeError(f"popcount takes a uint64, not {word}")

    def generate(_context, builder, _signature, arguments):
        bits = ir.IntType(64)
        count = builder.module.declare_intrinsic("llvm.ctpop", (bits,), ir.FunctionType(bits, (bits,)))
        return builder.call(count, arguments)

    return types.uint64(types.uint64), generate


popcount: Any = _popcount  # to a type checker an intrinsic is what it is made of, not what it does
