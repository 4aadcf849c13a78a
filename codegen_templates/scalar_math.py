"""Scalar mathematics of emitted kernels: float32 in, float32 out; anything else is float64.

`exp log log1p expm1` and what is built on them are branch-free, so that LLVM turns a loop over them into vector code; the functions marked
libm are calls, element by element. Errors are at most 4 units in the last place of the result, over the whole range, unless a docstring
says otherwise. Fused multiply-add is assumed to be fast (any x86-64 since 2013, any AArch64).
"""
import math

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, config, types
from numba.extending import intrinsic

# Fused operations are written out: the same bits wherever a function is inlined. What is cached need not be typed again by the next model.
# `fastmath` is said although it is off: a function compiled for a caller would take over the caller's, and the cache would keep that.
STRICT = dict(fastmath=False, error_model="numpy", nogil=True, forceinline=True, cache=True)
EXACT = dict(STRICT, fastmath={"contract"})
CALLED = dict(error_model="numpy", nogil=True, fastmath={"contract"}, cache=True)  # long and scalar: left to LLVM whether to inline

I32 = ir.IntType(32)
# llvm.ldexp is one instruction on AVX-512 and a library call elsewhere; LLVM has it from version 17 on.
VECTOR_SCALE = config.CPU_NAME is None and llvm.llvm_version_info[0] >= 17 and bool(llvm.get_host_cpu_features().get("avx512f", False))


def real_type(kind):
    """The floating type in which a value of this Numba type is computed."""
    return kind if kind in (types.float32, types.float64) else types.float64


def float_layout(kind):
    """Integer type, bits of the fraction and exponent bias of an LLVM floating type."""
    return (ir.IntType(32), 23, 127) if isinstance(kind, ir.FloatType) else (ir.IntType(64), 52, 1023)


def llvm_unary(name):
    """An intrinsic x -> llvm.<name>(x) of the type of x."""

    @intrinsic
    def unary(typing_context, x):
        kind = real_type(x)

        def emit(context, builder, signature, arguments):
            value = context.cast(builder, arguments[0], x, kind)
            return builder.call(builder.module.declare_intrinsic("llvm." + name, [value.type]), [value])

        return kind(x), emit

    return unary


def polynomial(double, single):
    """An intrinsic x -> c[0] + c[1] x + ... by fused Horner steps; coefficients for float64 and for float32."""

    @intrinsic
    def horner(typing_context, x):
        kind = real_type(x)

        def emit(context, builder, signature, arguments):
            value = context.cast(builder, arguments[0], x, kind)
            constants = [ir.Constant(value.type, float(c) if kind is types.float64 else float(np.float32(c)))
                         for c in (double if kind is types.float64 else single)]
            total = constants[-1]
            for constant in reversed(constants[:-1]):
                total = builder.fma(total, value, constant)
            return total

        return kind(x), emit

    return horner


@intrinsic
def real(typing_context, x):
    """x as float32 if it is float32, else as float64."""
    kind = real_type(x)
    return kind(x), lambda context, builder, signature, arguments: context.cast(builder, arguments[0], x, kind)


@intrinsic
def like(typing_context, x, value):
    """The number `value` in the floating type of x."""
    kind = real_type(x)
    return kind(x, value), lambda context, builder, signature, arguments: context.cast(builder, arguments[1], value, kind)


@intrinsic
def by_precision(typing_context, x, double, single):
    """The constant `double` if x is computed in float64, `single` in the type of x if it is float32."""
    kind = real_type(x)

    def emit(context, builder, signature, arguments):
        position = 2 if kind is types.float32 else 1
        return context.cast(builder, arguments[position], signature.args[position], kind)

    return kind(x, double, single), emit


@intrinsic
def fma(typing_context, x, y, z):
    """x y + z with one rounding; the three arguments have one floating type."""
    return x(x, x, x), lambda context, builder, signature, arguments: builder.fma(*arguments)


@intrinsic
def copysign(typing_context, x, y):
    """|x| with the sign bit of y, both of one floating type."""

    def emit(context, builder, signature, arguments):
        kind = arguments[0].type
        return builder.call(builder.module.declare_intrinsic("llvm.copysign", [kind], ir.FunctionType(kind, [kind, kind])), arguments)

    return x(x, x), emit


@intrinsic
def times_power_of_two(typing_context, x, k):
    """x 2^k with one rounding, k an integer held as a float, |k| below 2100 (300 in float32); a NaN in k counts as 0."""

    def emit(context, builder, signature, arguments):
        value, power = arguments
        integer, fraction, bias = float_layout(value.type)
        power = builder.select(builder.fcmp_ordered("ord", power, power), power, ir.Constant(power.type, 0.0))
        power = builder.fptosi(power, I32)
        if VECTOR_SCALE:
            kind = ir.FunctionType(value.type, [value.type, I32])
            ldexp = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ldexp.f{integer.width}.i32")
            return builder.call(ldexp, [value, power])
        half = builder.ashr(power, I32(1))
        for part in (half, builder.sub(power, half)):
            if integer.width > 32:
                part = builder.sext(part, integer)
            bits = builder.shl(builder.add(part, integer(bias)), integer(fraction))
            value = builder.fmul(value, builder.bitcast(bits, value.type))
        return value

    return x(x, x), emit


@intrinsic
def mantissa_and_exponent(typing_context, x):
    """(m, k) with x = m 2^k, m in [sqrt(1/2), sqrt(2)), k as a float; x positive, finite and not subnormal."""

    def emit(context, builder, signature, arguments):
        value = arguments[0]
        integer, fraction, bias = float_layout(value.type)
        root = 0x3F3504F3 if integer.width == 32 else 0x3FE6A09E667F3BCD
        above_root = builder.sub(builder.bitcast(value, integer), integer(root))
        in_fraction = builder.and_(above_root, integer((1 << fraction) - 1))
        mantissa = builder.bitcast(builder.add(in_fraction, integer(root)), value.type)
        # k + bias as the last bits of a float 1.0 2^fraction: shifts and sums of 64 bits, which AVX2 has; it lacks conversions of 64 bits.
        biased = builder.lshr(builder.add(above_root, integer(bias << fraction)), integer(fraction))
        unit = builder.bitcast(builder.or_(biased, integer((bias + fraction) << fraction)), value.type)
        power = builder.fsub(unit, ir.Constant(value.type, float((1 << fraction) + bias)))
        return context.make_tuple(builder, signature.return_type, [mantissa, power])

    return types.UniTuple(x, 2)(x), emit


round_even = llvm_unary("roundeven")
round_down = llvm_unary("floor")
round_up = llvm_unary("ceil")
square_root = llvm_unary("sqrt")

# Near-minimax fits (interpolation at Chebyshev nodes in 50 digits); each comment names the function and its interval.
exp_tail = polynomial(  # (e^r - 1 - r) / r^2, |r| <= ln(2) / 2
    (0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717, 0.00019841269863053618,
     2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07, 2.510038549551032e-08),
    (0.5, 0.16666576, 0.041666556, 0.008363179, 0.0013926184))
atanh_tail = polynomial(  # (atanh(s) - s) / s^3 in z = s^2, 0 <= z <= (3 - 2 sqrt(2))^2
    (0.3333333333333335, 0.19999999999949444, 0.14285714313126918, 0.11111105544689748, 0.09091446216268435, 0.07665805861027504,
     0.07308903576708663),
    (0.33333343, 0.1999438, 0.14790493))
atanh_tail_third = polynomial(  # the same on 0 <= z <= 1/9
    (0.3333333333333333, 0.20000000000007298, 0.1428571428355253, 0.11111111358900891, 0.09090894708663223, 0.07692785296456121,
     0.06657067775440581, 0.06000577591428889, 0.04400158825434387, 0.08082469084735669),
    (0.3333332, 0.20003782, 0.14118274, 0.13426013))
erfcx_scaled = polynomial(  # (4 + x) e^(x^2) erfc(x) in t = (x - 4) / (x + 4), -1 <= t <= 1
    (1.095995661000491, -0.976548729080882, 0.7732087022652371, -0.5408538313132345, 0.3308515878780107, -0.1740109372399329,
     0.07638151490940508, -0.026370053340693672, 0.0061120556534863925, -0.0002809588591883079, -0.0004550526593817673,
     0.00017681276807153315, -3.635329756508496e-06, -1.8860655851650423e-05, 4.695056181536189e-06, 1.423544943950122e-06,
     -8.478822846448528e-07, -7.440264267692018e-08, 1.269526620028216e-07, -2.753680956835059e-10, -1.8208760359519016e-08,
     7.051218877756988e-10, 2.3248139490706373e-09, -7.64653997246155e-11, -1.8622648765726154e-10),
    (1.0959957, -0.97654873, 0.7732089, -0.54085433, 0.330849, -0.17400473, 0.07639189, -0.026396807, 0.006094855, -0.00022818416,
     -0.00044553503, 0.00012761133))
erf_over_x = polynomial(  # erf(x) / x in z = x^2, 0 <= z <= 9/16
    (1.1283791670955126, -0.37612638903183715, 0.11283791670952592, -0.026866170644427513, 0.005223977615408468, -0.0008548326187902369,
     0.00012055289530626987, -1.4924195325647666e-05, 1.6430668513426108e-06, -1.5939928608120978e-07, 1.1471982626262433e-08),
    (1.1283791, -0.3761262, 0.112833865, -0.026835099, 0.0051152967, -0.00067562005))
ndtr_over_x = polynomial(  # (P(Z < x) - 1/2) / x in z = x^2, |x| <= 1.06
    (0.3989422804014327, -0.06649038006690539, 0.009973557010033602, -0.00118732821544965, 0.00011543468739628476,
     -9.444655342901929e-06, 6.659669653959096e-07, -4.122267390755679e-08, 2.2692019402267864e-09, -1.1007724377624211e-10,
     3.962135986100291e-12),
    (0.3989423, -0.066490345, 0.0099732, -0.0011859598, 0.000113038586, -7.4667587e-06))

sin_turns_over_f = polynomial(*(2 * ((  # sin(2 pi f) / f in z = f^2, |f| <= 1/8
    6.283185307179586, -41.341702240399634, 81.60524927594804, -76.70585970427454, 42.058685020160894, -15.093804209987114,
    3.7808689593022957),)))
cos_turns_tail = polynomial(*(2 * ((  # (cos(2 pi f) - 1) / f^2 in z = f^2, |f| <= 1/8
    -19.739208802178716, 64.93939402266824, -85.4568172066438, 60.24464135270201, -26.426253275854723, 7.903206911569678,
    -1.6990343940660637),)))


# ---------------------------------------------------------------- exponentials and logarithms
@njit(**STRICT)
def exp_parts(x):
    """(k, p) with e^x = 2^k (1 + p), k = round(x / ln 2), |p| < 0.42; x is cut off where half of e^x is 0 or overflows."""
    lowest, highest = by_precision(x, -746.0, -104.0), by_precision(x, 710.5, 89.5)
    y = lowest if x < lowest else x
    y = highest if y > highest else y
    k = round_even(y * like(x, 1.4426950408889634))
    r = fma(k, by_precision(x, -0.6931471803691238, -0.693145751953125), y)
    r = fma(k, by_precision(x, -1.9082149292705877e-10, -1.4286068203094173e-06), r)
    return k, fma(exp_tail(r), r * r, r)


@njit(**STRICT)
def exp(x):
    """e^x; overflow, subnormals, infinities and NaN as IEEE 754 has them."""
    x = real(x)
    k, p = exp_parts(x)
    return times_power_of_two(p + like(x, 1.0), k)


@njit(**STRICT)
def half_expm1(x):
    """(e^x - 1) / 2 for |x| >= 1e-20 (1e-10 in float32), as 2 (2^(k-2) p + 2^(k-2) - 1/4): no power overflows before the result."""
    k, p = exp_parts(x)
    quarter_power = times_power_of_two(like(x, 1.0), k - like(x, 2.0))
    return like(x, 2.0) * fma(quarter_power, p, quarter_power - like(x, 0.25))


@njit(**STRICT)
def expm1(x):
    """e^x - 1, reduced as in exp."""
    x = real(x)
    return x if abs(x) < by_precision(x, 1e-20, 1e-10) else like(x, 2.0) * half_expm1(x)


@njit(**STRICT)
def log_of_parts(m, k, correction):
    """log(m) + k ln 2 + correction for m in [sqrt(1/2), sqrt(2)) and a tiny correction; scheme of e_log.c, FreeBSD msun (Ng, 1993)."""
    f = m - like(m, 1.0)
    s = f / (like(m, 2.0) + f)
    z = s * s
    half_square = like(m, 0.5) * f * f
    low = fma(k, by_precision(m, 1.9082149292705877e-10, 1.4286068203094173e-06), correction)
    inner = fma(s, fma(z * atanh_tail(z), like(m, 2.0), half_square), low)
    return fma(k, by_precision(m, 0.6931471803691238, 0.693145751953125), f - (half_square - inner))


@njit(**STRICT)
def log(x):
    """The natural logarithm: -inf at 0, NaN below."""
    x = real(x)
    subnormal = x < by_precision(x, 2.2250738585072014e-308, 1.1754943508222875e-38)
    m, k = mantissa_and_exponent(x * like(x, 18014398509481984.0) if subnormal else x)
    value = log_of_parts(m, k - like(x, 54.0) if subnormal else k, like(x, 0.0))
    value = value if x < like(x, math.inf) else x
    return value if x > like(x, 0.0) else (like(x, -math.inf) if x == like(x, 0.0) else like(x, math.nan))


@njit(**STRICT)
def log1p(x):
    """log(1 + x) = log(u) + (1 + x - u) / u with u the rounded 1 + x; -inf at -1, NaN below."""
    x = real(x)
    one = like(x, 1.0)
    u = one + x
    lost = (one - (u - x) if x >= one else x - (u - one)) / u
    m, k = mantissa_and_exponent(u)
    value = log_of_parts(m, k, lost)
    value = value if x < like(x, math.inf) else x
    value = x if abs(x) < by_precision(x, 1e-20, 1e-10) else value
    return value if x > -one else (like(x, -math.inf) if x == -one else like(x, math.nan))


@njit(**STRICT)
def log1p_of_exp(e):
    """log(1 + e) for e in [0, 1], meant for e = exp(-|x|): 2 atanh(e / (2 + e)), without a logarithm."""
    s = e / (like(e, 2.0) + e)
    z = s * s
    return like(e, 2.0) * fma(s * z, atanh_tail_third(z), s)


@njit(**EXACT)
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    x = real(x)
    return (x if x > like(x, 0.0) else like(x, 0.0)) + log1p_of_exp(exp(-abs(x)))


@njit(**EXACT)
def sigmoid(x):
    """1 / (1 + e^-x), with the exponential of -|x| alone."""
    x = real(x)
    e = exp(-abs(x))
    return (like(x, 1.0) if x >= like(x, 0.0) else e) / (like(x, 1.0) + e)


@njit(**EXACT)
def log_sigmoid(x):
    """log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e^-|x|)."""
    x = real(x)
    return (x if x < like(x, 0.0) else like(x, 0.0)) - log1p_of_exp(exp(-abs(x)))


@njit(**EXACT)
def logit(p):
    """log(p / (1 - p)); from p = 1/4 on as log1p((2 p - 1) / (1 - p)), which keeps its digits around 1/2."""
    p = real(p)
    one = like(p, 1.0)
    near = log1p((like(p, 2.0) * p - one) / (one - p))
    return log(p / (one - p)) if p < like(p, 0.25) else near


@njit(**STRICT)
def minus_in_order(x, y, z):
    """(x - y) - z, rounded in this order."""
    return (real(x) - y) - z


@njit(**STRICT)
def exp_difference(x, y):
    """e^x - e^y = ±e^m (1 - e^-|x - y|), m the larger exponent; e^m as a square, since it can overflow where the difference does not."""
    x = real(x)
    y = real(y)
    top = maximum(x, y)
    root = exp(like(top, 0.5) * top)
    value = (root * -expm1(-abs(x - y))) * root
    value = value if x > y else -value
    return like(value, 0.0) if x == y and top < like(top, math.inf) else value


@njit(**EXACT)
def log1mexp(x):
    """log(1 - e^x) for x <= 0, switched at -ln 2 (Maechler, "Accurately computing log(1 - exp(-|a|))", 2012)."""
    x = real(x)
    return log(-expm1(x)) if x > like(x, -0.6931471805599453) else log1p(-exp(x))


@njit(**EXACT)
def logaddexp(x, y):
    """log(e^x + e^y) = max + log(1 + e^-|x - y|); where the two parts cancel the error is relative to max(|x|, |y|)."""
    top = maximum(real(x), real(y))
    gap = abs(x - y)
    return top + log1p_of_exp(exp(-(like(top, 0.0) if x == y else like(top, gap))))


@njit(**STRICT)
def log_mixture(w, x, y):
    """log(w e^x + (1 - w) e^y), 0 <= w <= 1: from the larger part p e^a = a + log1p(q (e^(b - a) - 1)), which is 0 where a = b = 0.

    For small p the argument is p + q e^(b - a) - 1, and not taken as log1p. e^±|x - y| - 1 by the half gap: neither overflows. Half of
    it is taken out where both parts are tiny.
    """
    w = real(w)
    v = like(w, 1.0) - w
    two = like(w, 2.0)
    gap = like(w, 0.0) if x == y else like(w, 0.5) * abs(x - y)
    limit = by_precision(w, 380.0, 52.0)
    gap = limit if gap > limit else gap
    e = exp(-gap)
    lost = expm1(-gap)
    x_is_above = x > y
    share, rest = (w, v) if x_is_above else (v, w)  # of the larger exponent, of the smaller
    smaller = rest * lost * (lost + two)
    larger = share * (-lost / e) * ((lost + two) / e)
    below = larger + share < rest
    value = log1p(larger if below else smaller)
    total = share + rest * (e * e)
    log_total = log(share / e + rest * e) - gap if total < by_precision(w, 1e-290, 1e-30) else log(total)
    value = log_total if not below and smaller < like(w, -0.5) else value
    return (x if x_is_above != below else y) + value


@njit(**STRICT)
def parts_of(x):
    """mantissa_and_exponent of |x|, subnormal or not; x finite, not 0."""
    a = abs(x)
    subnormal = a < by_precision(x, 2.2250738585072014e-308, 1.1754943508222875e-38)
    m, k = mantissa_and_exponent(a * like(x, 18014398509481984.0) if subnormal else a)
    return m, (k - like(x, 54.0) if subnormal else k)


@njit(**STRICT)
def log_of_edge(value, same_sign, regular):
    """The logarithm of a product or ratio with a factor 0, infinite or NaN; NaN where the signs differ."""
    edge = like(value, -math.inf) if value == like(value, 0.0) else (value if value == like(value, math.inf) else like(value, math.nan))
    return like(value, math.nan) if regular and not same_sign else edge


@njit(**STRICT)
def is_regular(x):
    """Finite and not 0."""
    return abs(x) > like(x, 0.0) and abs(x) < like(x, math.inf)


@njit(**STRICT)
def log_product(x, y):
    """log(x y) by mantissas and exponents: x y neither over- nor underflows, and its rounding is put back."""
    x = real(x)
    y = real(y)
    m, j = parts_of(x)
    n, k = parts_of(y)
    product = m * n
    rest = fma(m, n, -product)
    p, i = mantissa_and_exponent(product)
    regular = is_regular(x) and is_regular(y)
    same_sign = (x > like(x, 0.0)) == (y > like(y, 0.0))
    return log_of_parts(p, i + j + k, rest / product) if regular and same_sign else log_of_edge(x * y, same_sign, regular)


@njit(**STRICT)
def log_ratio(x, y):
    """log(x / y) by mantissas and exponents: x / y neither over- nor underflows, and its rounding is put back."""
    x = real(x)
    y = real(y)
    m, j = parts_of(x)
    n, k = parts_of(y)
    ratio = m / n
    rest = fma(-ratio, n, m) / m
    p, i = mantissa_and_exponent(ratio)
    regular = is_regular(x) and is_regular(y)
    same_sign = (x > like(x, 0.0)) == (y > like(y, 0.0))
    return log_of_parts(p, i + j - k, rest) if regular and same_sign else log_of_edge(abs(x / y), same_sign, regular)


@njit(**EXACT)
def log2(x):
    """The binary logarithm, exact at powers of two."""
    x = real(x)
    subnormal = x < by_precision(x, 2.2250738585072014e-308, 1.1754943508222875e-38)
    m, k = mantissa_and_exponent(x * like(x, 18014398509481984.0) if subnormal else x)
    value = fma(log_of_parts(m, like(x, 0.0), like(x, 0.0)), like(x, 1.4426950408889634), k - like(x, 54.0) if subnormal else k)
    value = value if x < like(x, math.inf) else x
    return value if x > like(x, 0.0) else (like(x, -math.inf) if x == like(x, 0.0) else like(x, math.nan))


@njit(**STRICT)
def log10(x):
    """The decimal logarithm, k log10(2) + log(m) log10(e) for x = m 2^k, both constants in two parts."""
    x = real(x)
    subnormal = x < by_precision(x, 2.2250738585072014e-308, 1.1754943508222875e-38)
    m, k = mantissa_and_exponent(x * like(x, 18014398509481984.0) if subnormal else x)
    k = k - like(x, 54.0) if subnormal else k
    natural = log_of_parts(m, like(x, 0.0), like(x, 0.0))
    unit = by_precision(x, 0.4342944819032518, 0.4342944920063019)
    fraction = natural * unit
    low = fma(natural, by_precision(x, 1.098319650216765e-17, -1.0103050052231683e-08), fma(natural, unit, -fraction))
    whole = k * by_precision(x, 0.3010299955494702, 0.301025390625)
    total = whole + fraction
    value = total + (fma(k, by_precision(x, 1.1451100898021838e-10, 4.605038981195214e-06), fraction - (total - whole)) + low)
    value = value if x < like(x, math.inf) else x
    return value if x > like(x, 0.0) else (like(x, -math.inf) if x == like(x, 0.0) else like(x, math.nan))


@njit(**EXACT)
def xlogy(x, y):
    """x log(y), 0 where x = 0 and y is not NaN."""
    value = x * log(y)
    return like(value, 0.0) if x == 0 and y == y else value


@njit(**EXACT)
def xlog1py(x, y):
    """x log(1 + y), 0 where x = 0 and y is not NaN."""
    value = x * log1p(y)
    return like(value, 0.0) if x == 0 and y == y else value


@njit(**EXACT)
def rel_entr(x, y):
    """x log(x / y), 0 where x = 0 and y is not NaN."""
    value = x * log_ratio(x, y)
    return like(value, 0.0) if x == 0 and y == y else value


# ---------------------------------------------------------------- powers
@njit(**EXACT)
def square(x):
    """x^2, of the type of x."""
    return x * x


@njit(**EXACT)
def reciprocal(x):
    """1 / x."""
    x = real(x)
    return like(x, 1.0) / x


@njit(**STRICT)
def sqrt(x):
    """The square root, NaN below 0."""
    return square_root(x)


@njit(**EXACT)
def sqrt1pm1(x):
    """sqrt(1 + x) - 1 = x / (1 + sqrt(1 + x))."""
    x = real(x)
    root = square_root(like(x, 1.0) + x)
    return x / (like(x, 1.0) + root) if root < like(x, math.inf) else root


@njit(**EXACT)
def hypot(x, y):
    """sqrt(x^2 + y^2) = m sqrt(1 + (n / m)^2), m and n the larger and the smaller of |x| and |y|."""
    a = abs(real(x))
    b = abs(real(y))
    larger = maximum(a, b)
    share = minimum(a, b) / larger
    value = larger * square_root(fma(share, share, like(larger, 1.0)))
    return value if larger > like(larger, 0.0) and larger < like(larger, math.inf) else larger


@njit(**EXACT)
def power(x, y):
    """x^y in the floating type of x (libm)."""
    x = real(x)
    return x ** like(x, y)


@njit(**EXACT)
def cbrt(x):
    """The real cube root: exp(log|x| / 3) and one Newton step."""
    x = real(x)
    a = abs(x)
    y = exp(log(a) / like(x, 3.0))
    y = y - (y - a / (y * y)) / like(x, 3.0)
    return copysign(y, x) if a > like(x, 0.0) and a < like(x, math.inf) else x


# ---------------------------------------------------------------- hyperbolic and circular functions
@njit(**EXACT)
def tanh(x):
    """The hyperbolic tangent, -expm1(-2 |x|) / (2 + expm1(-2 |x|)) with the sign of x."""
    x = real(x)
    e = expm1(like(x, -2.0) * abs(x))
    return copysign(e / (like(x, 2.0) + e), x)


@njit(**EXACT)
def sinh(x):
    """The hyperbolic sine, h + h / (1 + 2 h) with h = (e^|x| - 1) / 2 and the sign of x."""
    x = real(x)
    a = abs(x)
    h = half_expm1(a)
    value = h if h > like(x, 1e20) else h + h / fma(like(x, 2.0), h, like(x, 1.0))
    return x if a < by_precision(x, 1e-20, 1e-10) else copysign(value, x)


@njit(**EXACT)
def cosh(x):
    """The hyperbolic cosine, h + 1 / (4 h) with h = e^|x| / 2."""
    x = abs(real(x))
    k, p = exp_parts(x)
    h = times_power_of_two(p + like(x, 1.0), k - like(x, 1.0))
    return h + like(x, 0.25) / h


@njit(**EXACT)
def sech(x):
    """1 / cosh(x), with the exponential of -|x| alone."""
    x = real(x)
    e = exp(-abs(x))
    return like(x, 2.0) * e / fma(e, e, like(x, 1.0))


@njit(**STRICT)
def cos_and_sin_of_turns(u):
    """(cos(2 pi u), sin(2 pi u)), branch-free; error at most 2 eps absolutely for |u| <= 1."""
    u = real(u)
    quarters = round_even(like(u, 4.0) * u)
    f = fma(quarters, like(u, -0.25), u)
    quadrant = fma(round_down(like(u, 0.25) * quarters), like(u, -4.0), quarters)
    z = f * f
    s = f * sin_turns_over_f(z)
    c = fma(z, cos_turns_tail(z), like(u, 1.0))
    odd = quadrant == like(u, 1.0) or quadrant == like(u, 3.0)
    cosine = s if odd else c
    sine = c if odd else s
    cosine = -cosine if quadrant == like(u, 1.0) or quadrant == like(u, 2.0) else cosine
    sine = -sine if quadrant >= like(u, 2.0) else sine
    return cosine, sine


@njit(**EXACT)
def arcsinh(x):
    """The inverse hyperbolic sine (libm)."""
    return math.asinh(real(x))


@njit(**EXACT)
def arccosh(x):
    """The inverse hyperbolic cosine, NaN below 1 (libm)."""
    return math.acosh(real(x))


@njit(**EXACT)
def arctanh(x):
    """The inverse hyperbolic tangent, (log1p(x) - log1p(-x)) / 2 as log1p(2 |x| / (1 - |x|)) / 2 with the sign of x."""
    x = real(x)
    a = abs(x)
    return copysign(like(x, 0.5) * log1p(a + a + (a + a) * a / (like(x, 1.0) - a)), x) if a < like(x, 0.5) else copysign(
        like(x, 0.5) * log1p((a + a) / (like(x, 1.0) - a)), x)


# ---------------------------------------------------------------- the normal distribution and the error function
@njit(**STRICT)
def erfcx_over(a, root, root_low, inverse_root):
    """e^(c^2) erfc(c), c = a / root >= 0 and finite: a polynomial in t = (c - 4) / (c + 4) (Shepherd & Laframboise, Math. Comp. 36, 1981).

    Near t = -1 an error of t counts 1.7 times: what 1 / (c + 4) = root / (a + 4 root) lost is put back, with the low part of the root.
    """
    shift = like(a, 4.0) * root
    below = a + shift
    share = root / below
    below_low = fma(like(a, 4.0), root_low, a - (below - shift))
    lost = share * inverse_root * fma(-share, below_low, fma(-share, below, root) + root_low)
    t = fma(like(a, -8.0), lost, fma(like(a, -8.0), share, like(a, 1.0)))
    scaled = erfcx_scaled(t)
    return fma(scaled, share, scaled * lost)


@njit(**STRICT)
def erfcx_of_positive(a):
    """e^(a^2) erfc(a), a >= 0 and finite."""
    return erfcx_over(a, like(a, 1.0), like(a, -0.0), like(a, 1.0))


@njit(**STRICT)
def mills_of_positive(a):
    """2 e^(a^2 / 2) P(Z > a), a >= 0 and finite."""
    root_low = by_precision(a, -9.667293313452913e-17, 2.4203235755e-08)
    return erfcx_over(a, by_precision(a, 1.4142135623730951, 1.4142135381698608), root_low, like(a, 0.7071067811865476))


@njit(**CALLED)
def erfcx(x):
    """e^(x^2) erfc(x): 2 e^(x^2) - erfcx(-x) below 0."""
    x = real(x)
    a = abs(x)
    value = like(x, 0.0) if a == like(x, math.inf) else erfcx_of_positive(a)
    if x < like(x, 0.0):
        b = like(x, 40.0) if a > like(x, 40.0) else a
        square_high = b * b
        e = exp(square_high)
        twice = like(x, 2.0) * e
        correction = twice * fma(b, b, -square_high)
        value = (twice + correction if twice < like(x, math.inf) else twice) - value
    return value


@njit(**EXACT)
def erf_tail(a):
    """erfc(a) for a >= 0: e^(-a^2) erfcx(a), with the rounding of a^2 put back."""
    b = like(a, 40.0) if a > like(a, 40.0) else a
    square_high = b * b
    e = exp(-square_high)
    return fma(e, -fma(b, b, -square_high), e) * erfcx_of_positive(b)


@njit(**EXACT)
def erf(x):
    """The error function 2 / sqrt(pi) int_0^x e^(-t^2) dt."""
    x = real(x)
    a = abs(x)
    return x * erf_over_x(x * x) if a < like(x, 0.75) else copysign(like(x, 1.0) - erf_tail(a), x)


@njit(**EXACT)
def erfc(x):
    """1 - erf(x), accurate far out on the right."""
    x = real(x)
    tail = erf_tail(abs(x))
    return like(x, 2.0) - tail if x < like(x, 0.0) else tail


@njit(**EXACT)
def log_erfc(x):
    """log(erfc(x)): log1p(-erf(x)) below 1, log(erfcx(x)) - x^2 beyond."""
    x = real(x)
    return log1p(-erf(x)) if x < like(x, 1.0) else log(erfcx(x)) - x * x


@njit(**STRICT)
def half_normal_exp(b):
    """e^(-b^2 / 2) / 2, 0 <= b <= 40, with the roundings of b^2 and of 1 + p put back (1 - p serves as 1 / (1 + p))."""
    one = like(b, 1.0)
    square = b * b
    k, p = exp_parts(like(b, -0.5) * square)
    rounded = one + p
    low = p - (rounded - one)
    e = times_power_of_two(rounded, k - one)
    return fma(e, fma(-low, p, low) - like(b, 0.5) * fma(b, b, -square), e)


@njit(**EXACT)
def normal_tail(a):
    """P(Z > a), a >= 0: 1/2 - P(0 < Z < a) near 0, else e^(-a^2 / 2) / 2 times 2 e^(a^2 / 2) P(Z > a)."""
    b = like(a, 40.0) if a > like(a, 40.0) else a
    near = fma(-a, ndtr_over_x(a * a), like(a, 0.5))
    return near if a < like(a, 0.7) else half_normal_exp(b) * mills_of_positive(b)


@njit(**EXACT)
def ndtr(x):
    """The standard normal distribution function."""
    x = real(x)
    tail = normal_tail(abs(x))
    return tail if x < like(x, 0.0) else like(x, 1.0) - tail


@njit(**EXACT)
def inverse_mills(x):
    """phi(x) / Phi(x): sqrt(2 / pi) / erfcx(-x / sqrt(2)) below 0, as it stands above; far left it is -x."""
    x = real(x)
    b = like(x, 40.0) if x > like(x, 40.0) else x
    square_high = b * b
    e = like(x, 0.3989422804014327) * exp(like(x, -0.5) * square_high)
    upper = fma(e, like(x, -0.5) * fma(b, b, -square_high), e) / ndtr(x)
    lower = like(x, 0.7978845608028654) / mills_of_positive(abs(x))
    lower = -x if x < by_precision(x, -1e9, -1e5) else lower
    return lower if x < like(x, 0.0) else upper


@njit(**STRICT)
def log_ndtr(x):
    """log of the standard normal distribution function, by one logarithm: log(erfcx(-x / sqrt(2)) / 2) - x^2 / 2 far left,
    log(1 - P(Z > x)) on the right, log((1 + erf(x / sqrt(2))) / 2) between.

    log(1 - q) = log(u) + (1 - u - q) / u for u the rounded 1 - q; 1 + w + w^2, w = 1 - u, serves as 1 / u.
    """
    x = real(x)
    half = like(x, 0.5)
    a = abs(x)
    largest = by_precision(x, 1e300, 1e37)
    scale = mills_of_positive(a if a < largest else largest)
    tail = half_normal_exp(like(x, 40.0) if a > like(x, 40.0) else a) * scale
    left = x < like(x, -1.05)
    near = a < like(x, 1.05) and x < like(x, 0.9)
    centre = x * ndtr_over_x(x * x)
    u = half * scale if left else (half + centre if near else like(x, 1.0) - tail)
    w = like(x, 1.0) - u
    lost = (half - u) + centre if near else w - tail
    m, k = mantissa_and_exponent(u)
    logarithm = log_of_parts(m, k, like(x, 0.0) if left else lost * fma(w, w, like(x, 1.0) + w))
    value = fma(-half * x, x, logarithm) if left else logarithm
    return value if x == x else x


quantile_centre_above = polynomial(*(2 * ((
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4, 4.5921953931549871457e4,
    6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),)))
quantile_centre_below = polynomial(*(2 * ((
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4, 3.9307895800092710610e4,
    2.8729085735721942674e4, 5.2264952788528545610e3),)))
quantile_middle_above = polynomial(*(2 * ((
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0, 1.27045825245236838258e0,
    2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),)))
quantile_middle_below = polynomial(*(2 * ((
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
    1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),)))
quantile_far_above = polynomial(*(2 * ((
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1, 2.65321895265761230930e-2,
    1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),)))
quantile_far_below = polynomial(*(2 * ((
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
    1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),)))


@njit(**CALLED)
def normal_quantile(q, log_tail):
    """The z with P(Z < z) = 1/2 + q, log(1/2 - |q|) given apart: algorithm AS 241 (Wichura, Applied Statistics 37, 1988)."""
    if abs(q) <= like(q, 0.425):
        r = like(q, 0.180625) - q * q
        return q * quantile_centre_above(r) / quantile_centre_below(r)
    r = square_root(-log_tail)
    if r <= like(q, 5.0):
        r = r - like(q, 1.6)
        value = quantile_middle_above(r) / quantile_middle_below(r)
    elif r < like(q, math.inf):
        r = r - like(q, 5.0)
        value = quantile_far_above(r) / quantile_far_below(r)
    else:
        value = r
    return copysign(value, q)


@njit(**CALLED)
def ndtri(p):
    """The quantile of the standard normal distribution: -inf at 0, inf at 1, NaN outside."""
    p = real(p)
    rest = like(p, 1.0) - p
    return normal_quantile(p - like(p, 0.5), log(p if p < rest else rest))


@njit(**CALLED)
def erfinv(x):
    """The inverse of erf: the normal quantile at (1 + x) / 2 over sqrt(2)."""
    x = real(x)
    return like(x, 0.7071067811865476) * normal_quantile(like(x, 0.5) * x, log(like(x, 0.5) * (like(x, 1.0) - abs(x))))


@njit(**CALLED)
def erfcinv(y):
    """The inverse of erfc: minus the normal quantile at y / 2 over sqrt(2)."""
    y = real(y)
    rest = like(y, 2.0) - y
    log_tail = log(y if y < rest else rest) - like(y, 0.6931471805599453)
    return like(y, 0.7071067811865476) * normal_quantile(like(y, 0.5) * (like(y, 1.0) - y), log_tail)


# ---------------------------------------------------------------- order, sign, choice
@njit(**STRICT)
def log_cosh(x):
    """log(cosh(x)): log1p((1 - e)^2 / (2 e)) up to |x| = 1, |x| - log(2) + log1p(e^2) beyond, with e = e^-|x|."""
    a = abs(real(x))
    one = like(a, 1.0)
    lost = expm1(-a)  # e - 1
    e = one + lost
    near = a < one
    base = like(a, 0.0) if near else a - like(a, 0.6931471805599453)
    return base + log1p(lost * lost / (like(a, 2.0) * e) if near else e * e)


@njit(**STRICT)
def select(condition, a, b):
    """a where the condition holds, else b; both are evaluated."""
    return a if condition else b


@njit(**STRICT)
def maximum(x, y):
    """The larger of x and y; NaN if either is."""
    return x if x >= y or x != x else y


@njit(**STRICT)
def minimum(x, y):
    """The smaller of x and y; NaN if either is."""
    return x if x <= y or x != x else y


@njit(**STRICT)
def deviation(x, m):
    """x - m; compiled here, so that a loop that adds in any order leaves it as it is."""
    x = real(x)
    return x - real(m)


@njit(**STRICT)
def absolute(x):
    """|x|, of the type of x."""
    return abs(x)


@njit(**STRICT)
def floor(x):
    """The largest integer <= x, as a float."""
    return round_down(x)


@njit(**STRICT)
def ceil(x):
    """The smallest integer >= x, as a float."""
    return round_up(x)


@njit(**STRICT)
def sign(x):
    """-1, 0 or 1; NaN at NaN."""
    x = real(x)
    return like(x, 1.0) if x > like(x, 0.0) else (like(x, -1.0) if x < like(x, 0.0) else x)


@njit(**STRICT)
def heaviside(x, at_zero):
    """0 below 0, 1 above, `at_zero` at 0, NaN at NaN."""
    x = real(x)
    outside = like(x, 1.0) if x > like(x, 0.0) else (like(x, 0.0) if x < like(x, 0.0) else x)
    return like(x, at_zero) if x == like(x, 0.0) else outside


@njit(**STRICT)
def mod(x, y):
    """x - y floor(x / y), with the sign of y; NaN at y = 0."""
    return x % y
