"""Short vectors of float32 inside kernels: several pixels at once, in one register, without hoping for a vectoriser.

A value of `Lanes` holds LANES numbers. `+ - * /` and the functions below work on all of them, and a float32 beside one
stands for LANES times itself. Everything is computed as it is written and in that order, so the same bits come out
wherever in memory arrays lie; only a product may be fused with the sum it goes into. For use in compiled code only:

    @exact_kernel
    def scale(values: F32, factor: np.float32) -> None:
        for at in range(0, len(values), LANES):
            store(values, at, load(values, at) * factor)
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import models, register_model
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import AbstractTemplate, ConcreteTemplate, Signature, infer_global

from runner.raster.compiled import F32, exact_kernel

# One register of AVX-512, or of AVX2; a processor without either takes two or four for eight.
LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
ALIGNMENT = 64  # bytes of a cache line

Function = TypeVar("Function", bound=Callable[..., Any])
Code = Callable[[Any, Any, Any, Any], Any]
"""(context, builder, signature, arguments) -> value: the LLVM code that a function of kernels stands for."""

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_QUAD = 4  # numbers that are shuffled among each other cheaply


class Lanes:
    """The type as readers and type checkers see it. Values exist in compiled code only."""

    def __add__(self, other: Lanes | np.float32) -> Lanes:
        raise NotImplementedError

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__


class _LanesType(types.Type):
    def can_convert_from(self, typingctx: Any, other: Any) -> Any:  # noqa: ARG002
        return Conversion.safe if other == types.float32 else None


_LANES = _LanesType(f"lanes{LANES}")
_ROW = types.Array(types.float32, 1, "C")


class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        models.PrimitiveModel.__init__(self, manager, kind, _VECTOR)


register_model(_LanesType)(_Model)


def _repeated(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, _constants([0] * LANES))


def _constants(values: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), values)


lower_cast(types.float32, _LanesType)(lambda _context, builder, _from, _to, value: _repeated(builder, value))


class _Operator(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ARG002
        fits = len(args) == 2 and _LANES in args and all(each in (_LANES, types.float32) for each in args)
        return Signature(_LANES, (_LANES, _LANES), None) if fits else None


def _operator(function: Any, instruction: str) -> None:
    infer_global(function)(type(f"_{instruction}", (_Operator,), {}))

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=("contract",))

    lower_builtin(function, _LANES, _LANES)(code)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


def _stands_for(code: Code, result: Any, *arguments: Any) -> Callable[[Function], Function]:
    """Kernels that call the function get `code` in its place."""

    def decorate(function: Function) -> Function:
        members = {"key": function, "cases": [Signature(result, arguments, None)]}
        infer_global(function, types.Function(type(f"_{function.__name__}", (ConcreteTemplate,), members)))
        lower_builtin(function, *arguments)(code)
        return function

    return decorate


def _place(context: Any, builder: Any, array: Any, index: Any, vector: Any) -> Any:
    """Pointer to a vector that begins at array[index]."""
    data = context.make_array(_ROW)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _load(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    array, index = args
    return builder.load(_place(context, builder, array, index, _VECTOR), align=4)


def _store(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    array, index, value = args
    builder.store(value, _place(context, builder, array, index, _VECTOR), align=4)
    return context.get_dummy_value()


def _chosen(comparison: str) -> Code:
    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, *args), *args)

    return code


def _where_less(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    a, b, then, otherwise = args
    return builder.select(builder.fcmp_ordered("<", a, b), then, otherwise)


def _absolute(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    mask = _constants([0x7FFFFFFF] * LANES)
    return builder.bitcast(builder.and_(builder.bitcast(args[0], mask.type), mask), _VECTOR)


def _folded(builder: Any, value: Any, join: Callable[[Any, Any], Any], count: int) -> Any:
    """The upper half joined with the lower one until `count` numbers are left."""
    while value.type.count > count:
        half = value.type.count // 2
        halves = (list(range(half)), list(range(half, 2 * half)))
        value = join(*(builder.shuffle_vector(value, value, _constants(places)) for places in halves))
    return value


def _largest(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    def larger(x: Any, y: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", x, y), x, y)

    return builder.extract_element(_folded(builder, args[0], larger, 1), ir.Constant(ir.IntType(32), 0))


def _store_totals(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    """Two rounds of shuffles within quads put a part of each of the four sums into every quad; then quads are added."""
    array, index, a, b, c, d = args

    def added(x: Any, y: Any, *halves: tuple[int, ...]) -> Any:
        parts = []
        for places in halves:  # within a quad of x; from _QUAD on, of y
            picked = [quad + at % _QUAD + at // _QUAD * LANES for quad in range(0, LANES, _QUAD) for at in places]
            parts.append(builder.shuffle_vector(x, y, _constants(picked)))
        return builder.fadd(*parts)

    ab, cd = (added(x, y, (0, 4, 1, 5), (2, 6, 3, 7)) for x, y in ((a, b), (c, d)))
    totals = _folded(builder, added(ab, cd, (0, 1, 4, 5), (2, 3, 6, 7)), builder.fadd, _QUAD)
    builder.store(totals, _place(context, builder, array, index, totals.type), align=4)
    return context.get_dummy_value()


@_stands_for(_load, _LANES, _ROW, types.int64)
def load(array: F32, index: int | np.int64) -> Lanes:
    """array[index : index + LANES] of a contiguous array. Nobody looks whether they are there."""
    raise NotImplementedError


@_stands_for(_store, types.void, _ROW, types.int64, _LANES)
def store(array: F32, index: int | np.int64, value: Lanes) -> None:
    """array[index : index + LANES] = value, likewise."""
    raise NotImplementedError


@_stands_for(lambda _context, builder, _signature, args: _repeated(builder, args[0]), _LANES, types.float32)
def spread(value: np.float32) -> Lanes:
    """The number in every lane."""
    raise NotImplementedError


@_stands_for(_chosen("<"), _LANES, _LANES, _LANES)
def least(a: Lanes | np.float32, b: Lanes | np.float32) -> Lanes:
    """The smaller one, lane by lane; b where one is NaN."""
    raise NotImplementedError


@_stands_for(_chosen(">"), _LANES, _LANES, _LANES)
def most(a: Lanes | np.float32, b: Lanes | np.float32) -> Lanes:
    """The larger one, lane by lane; b where one is NaN."""
    raise NotImplementedError


@_stands_for(_where_less, _LANES, _LANES, _LANES, _LANES, _LANES)
def where_less(
    a: Lanes | np.float32, b: Lanes | np.float32, then: Lanes | np.float32, otherwise: Lanes | np.float32
) -> Lanes:
    """`then` where a < b, else `otherwise`, lane by lane."""
    raise NotImplementedError


@_stands_for(_absolute, _LANES, _LANES)
def absolute(value: Lanes) -> Lanes:
    """|value|."""
    raise NotImplementedError


@_stands_for(_largest, types.float32, _LANES)
def largest(value: Lanes) -> np.float32:
    """The largest of the numbers."""
    raise NotImplementedError


@_stands_for(_store_totals, types.void, _ROW, types.int64, _LANES, _LANES, _LANES, _LANES)
def store_totals(array: F32, index: int | np.int64, a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> None:
    """array[index : index + 4] = the sums over the lanes of a, b, c and d."""
    raise NotImplementedError


@exact_kernel
def aligned(count: int) -> F32:
    """[count] float32 without values, from the start of a cache line on: no load of lanes touches two of them."""
    longer = np.empty(count + ALIGNMENT // 4, np.float32)
    skipped = (ALIGNMENT - longer.ctypes.data % ALIGNMENT) % ALIGNMENT // 4
    return longer[skipped : skipped + count]
