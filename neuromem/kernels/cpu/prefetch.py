"""Ask the processor to fetch an array element into its cache, without waiting for it.

After a change here, touch the files that use it: numba's cache does not see this one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

READ, KEEP_IN_L2, DATA = 0, 2, 1


def _prefetch(typing_context, array, index):
    """Prefetch ``array[index]`` of a vector; any index is allowed, as nothing is read."""
    signature = types.void(array, index)

    def generate(context, builder, signature, arguments):
        vector = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(vector.data, [arguments[1]]), byte)
        function = builder.module.declare_intrinsic("llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32]))
        builder.call(function, [address, i32(READ), i32(KEEP_IN_L2), i32(DATA)])
        return context.get_dummy_value()

    return signature, generate


prefetch: Any = intrinsic(_prefetch)
