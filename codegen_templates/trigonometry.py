"""Circular functions of emitted kernels: vector code for sin, cos, tan; the inverses are calls of libm, element by element."""
import math

from numba import njit
from numba.core import types
from numba.extending import intrinsic

from symvi.codegen_templates.rare_cases import where_nan
from symvi.codegen_templates.scalar_math import CALLED, EXACT, STRICT, by_precision, float_layout, fma, like, polynomial, real

sin_tail = polynomial(  # (sin(r) - r) / r^3 in z = r^2, |r| <= pi / 4 and what the rounding of a quarter turn adds
    (-0.16666666666666666, 0.008333333333330946, -0.0001984126983675497, 2.755731610068303e-06, -2.5051131455427946e-08,
     1.591810123027412e-10),
    (-0.16666664, 0.008332734, -0.00019584861))
cos_tail = polynomial(  # (cos(r) - 1 + r^2 / 2) / r^4 in z = r^2, on the same interval
    (0.041666666666666664, -0.0013888888888887274, 2.480158729858025e-05, -2.7557317176310573e-07, 2.0876126540249045e-09,
     -1.1381222405132126e-11),
    (0.041666664, -0.0013888284, 2.454389e-05))


@intrinsic
def bits_of(typing_context, x):
    """The bits of a float as an integer of its width."""
    kind = types.int32 if x is types.float32 else types.int64
    return kind(x), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], float_layout(arguments[0].type)[0])


@njit(**STRICT)
def quarter_turns(x):
    """(k, r) with x = k pi / 2 + r, |r| <= pi / 4; of k the last bits, as an integer. NaN for |x| beyond 1e13 (1.5e5 in float32).

    Adding 1.5 2^52 leaves round(2 x / pi) in the last bits. x - k p1 is exact, all being multiples of the spacing of p1; p2 and p3 add a
    rounding of the result each (Cody & Waite, 1980, with fused steps).
    """
    shift = by_precision(x, 6755399441055744.0, 12582912.0)
    shifted = fma(x, like(x, 0.6366197723675814), shift)
    k = shift - shifted
    r = fma(k, by_precision(x, 1.5707963267948966, 1.570796251296997), x)
    r = fma(k, by_precision(x, 6.123233995736765e-17, 7.549789415861596e-08), r)
    r = fma(k, by_precision(x, 1.0828566739219139e-32, 5.390302529957765e-15), r)
    return bits_of(shifted), r if abs(x) <= by_precision(x, 1e13, 1.5e5) else like(x, math.nan)


@njit(**STRICT)
def sin_near_zero(r):
    """sin(r) for |r| <= pi / 4."""
    z = r * r
    return fma(r * z, sin_tail(z), r)


@njit(**STRICT)
def cos_near_zero(r):
    """cos(r) for |r| <= pi / 4."""
    z = r * r
    return fma(z * z, cos_tail(z), fma(z, like(r, -0.5), like(r, 1.0)))


@njit(**CALLED)
def sin_of_large(x):
    """libm reduces any argument."""
    return math.sin(x)


@njit(**CALLED)
def cos_of_large(x):
    """libm reduces any argument."""
    return math.cos(x)


@njit(**CALLED)
def tan_of_large(x):
    """libm reduces any argument."""
    return math.tan(x)


correct_sin = where_nan("sin", sin_of_large)
correct_cos = where_nan("cos", cos_of_large)
correct_tan = where_nan("tan", tan_of_large)


@njit(**STRICT)
def sin(x):
    """The sine, NaN at infinity."""
    x = real(x)
    k, r = quarter_turns(x)
    value = cos_near_zero(r) if k & 1 else sin_near_zero(r)
    value = -value if k & 2 else value
    return correct_sin(x, x if abs(x) < by_precision(x, 1e-9, 1e-5) else value)


@njit(**STRICT)
def cos(x):
    """The cosine, NaN at infinity."""
    x = real(x)
    k, r = quarter_turns(x)
    value = sin_near_zero(r) if k & 1 else cos_near_zero(r)
    return correct_cos(x, -value if (k + 1) & 2 else value)


@njit(**STRICT)
def tan(x):
    """The tangent, NaN at infinity."""
    x = real(x)
    k, r = quarter_turns(x)
    s = sin_near_zero(r)
    c = cos_near_zero(r)
    value = (-c if k & 1 else s) / (s if k & 1 else c)
    return correct_tan(x, x if abs(x) < by_precision(x, 1e-9, 1e-5) else value)


@njit(**STRICT)
def cosm1(x):
    """cos(x) - 1 = -2 sin(x / 2)^2."""
    x = real(x)
    s = sin(like(x, 0.5) * x)
    return like(x, -2.0) * s * s


@njit(**EXACT)
def arcsin(x):
    """The inverse sine, NaN outside [-1, 1] (libm)."""
    return math.asin(real(x))


@njit(**EXACT)
def arccos(x):
    """The inverse cosine, NaN outside [-1, 1] (libm)."""
    return math.acos(real(x))


@njit(**EXACT)
def arctan(x):
    """The inverse tangent (libm)."""
    return math.atan(real(x))


@njit(**EXACT)
def arctan2(y, x):
    """The angle of the point (x, y) (libm)."""
    return math.atan2(real(y), real(x))
