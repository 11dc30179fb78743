"""The bits of a float32 as an int32, and back: for logarithms and exponentials made of arithmetic, which LLVM turns into vectors.

After a change here, touch the files that use it: numba's cache does not see this one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _bits_of(typing_context, x):
    """Return the bits of a float32 as an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


def _float_of(typing_context, bits):
    """Return the float32 with these bits, an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


bits_of: Any = intrinsic(_bits_of)
float_of: Any = intrinsic(_float_of)
