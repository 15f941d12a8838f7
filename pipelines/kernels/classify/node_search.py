"""One step of a search: how many of a node's keys are at most a key, by one vector comparison.

Numba offers no vector types, and LLVM makes a chain of scalar additions of the plain loop (60
instead of 12 ns a look-up). So the few vector instructions are given as LLVM's own; where a
processor has no such registers LLVM splits them.
"""

from typing import TYPE_CHECKING, Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

NODE_KEYS: Final = 16


def _count_passed(_typing: Any, keys: Any, begin: Any, key: Any) -> Any:  # noqa: ARG001
    """Count the keys in ``keys[begin : begin + NODE_KEYS]`` that are at most ``key``.

    keys: one-dimensional and contiguous, of unsigned integers. The node must lie within it.
    """
    signature = types.int64(keys, types.int64, keys.dtype)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        word = context.get_value_type(signature.args[2])
        vector = ir.VectorType(word, NODE_KEYS)
        undefined = ir.Constant(vector, ir.Undefined)
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), vector.as_pointer())
        node = builder.load(place)
        node.align = word.width // 8
        first = builder.insert_element(undefined, arguments[2], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), NODE_KEYS), [0] * NODE_KEYS)
        passed = builder.icmp_unsigned("<=", node, builder.shuffle_vector(first, undefined, zeros))
        bits = builder.bitcast(passed, ir.IntType(NODE_KEYS))
        return builder.zext(builder.ctpop(bits), ir.IntType(64))

    return signature, generate


count_passed: Final = cast(
    "Callable[[NDArray[np.unsignedinteger], int, np.unsignedinteger], int]",
    intrinsic(_count_passed),
)
