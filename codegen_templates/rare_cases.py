"""Rare cases beside a branch-free main path: one test per vector of results, so that a loop stays vector code.

A scalar function returns NaN where its main path does not hold, and `where_nan` puts the answer of a slow function there. LLVM takes the
vector form of the test from the attribute `vector-function-abi-variant` of the scalar one.
"""
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

LANES = (2, 4, 8, 16)


def keep_until_vectorised(module, functions):
    """List functions in `llvm.compiler.used`: nothing calls them before the vectoriser has run."""
    byte = ir.IntType(8).as_pointer()
    entries = [function.bitcast(byte) for function in functions]
    table = module.globals.get("llvm.compiler.used")
    if table is not None:
        entries = [*table.initializer.constant, *entries]
    kind = ir.ArrayType(byte, len(entries))
    if table is None:
        table = ir.GlobalVariable(module, kind, "llvm.compiler.used")
        table.linkage, table.section = "appending", "llvm.metadata"
    table.value_type, table.type = kind, kind.as_pointer()
    table.initializer = ir.Constant(kind, entries)


def pure_function(module, name, kind):
    """A new function (x, value) -> result of one type, free of side effects, that is called and not inlined."""
    function = ir.Function(module, ir.FunctionType(kind, [kind, kind]), name)
    function.linkage = "linkonce_odr"
    for attribute in ("noinline", "nounwind", "willreturn", "memory(none)"):
        set.add(function.attributes, attribute)  # llvmlite's own `add` knows an older list of attributes
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def emit_vector_test(module, scalar, kind, lanes):
    """The test for `lanes` values at once: as they are if none is NaN, else one after the other by the scalar function."""
    vector = ir.VectorType(kind, lanes)
    function, builder = pure_function(module, f"{scalar.name}_x{lanes}", vector)
    x, value = function.args
    rare = builder.fcmp_unordered("uno", value, value)
    any_lane = cgutils.get_or_insert_function(module, ir.FunctionType(ir.IntType(1), [rare.type]), f"llvm.vector.reduce.or.v{lanes}i1")
    with cgutils.if_unlikely(builder, builder.call(any_lane, [rare])):
        places = [builder.alloca(vector) for _ in range(2)]
        for place, lane_values in zip(places, (x, value)):
            builder.store(lane_values, place)
        first_x, first_value = (builder.bitcast(place, kind.as_pointer()) for place in places)
        with cgutils.for_range(builder, ir.IntType(64)(lanes)) as loop:
            place = builder.gep(first_value, [loop.index])
            builder.store(builder.call(scalar, [builder.load(builder.gep(first_x, [loop.index])), builder.load(place)]), place)
        builder.ret(builder.load(places[1]))
    builder.ret(value)
    return function


def where_nan(name, slow):
    """An intrinsic (x, value) -> value, or slow(x) where value is NaN; `name` tells its functions from those of other slow paths."""

    def call_slow(x):
        return slow(x)

    @intrinsic
    def corrected(typing_context, x, value):
        signature = x(x, x)

        def emit(context, builder, signature, arguments):
            module, kind = builder.module, arguments[0].type
            symbol = f"symvi_where_nan_{name}_{x}"
            scalar = module.globals.get(symbol)
            if scalar is None:
                compiled = context.compile_subroutine(builder, call_slow, x(x))
                scalar, inner = pure_function(module, symbol, kind)
                with cgutils.if_unlikely(inner, inner.fcmp_unordered("uno", scalar.args[1], scalar.args[1])):
                    _, result = context.call_internal_no_propagate(inner, compiled.fndesc, x(x), scalar.args[:1])
                    inner.ret(result)
                inner.ret(scalar.args[1])
                vectors = [emit_vector_test(module, scalar, kind, lanes) for lanes in LANES]
                variants = ",".join(f"_ZGV_LLVM_N{lanes}vv_{symbol}({f.name})" for lanes, f in zip(LANES, vectors))
                set.add(scalar.attributes, f'"vector-function-abi-variant"="{variants}"')
                keep_until_vectorised(module, vectors)
            return builder.call(scalar, arguments)

        return signature, emit

    return corrected
