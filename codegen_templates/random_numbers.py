"""Counter-based random numbers: a draw is a function of (seed, stream, step, site, particle, global row, column), computed, never stored.

The generator is Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Layout of a call:

    key      k0 = low 32 bits of the seed           k1 = high 32 bits of the seed
    counter  c0 = position block (column pair)      c1 = global row (low 32 bits)
             c2 = step (low 32 bits)                c3 = stream << 28 | site << 16 | particle

so there are 15 streams (0 to 14; stream 15 belongs to the permutations below), 4,096 sites and 65,536 particles. A call gives four words,
two words make one uniform number, so a call gives two numbers: columns 2 c0 and 2 c0 + 1 of its row. An array with one column uses both for
rows: global row r is branch r & 1 of counter row r >> 1. Draws into a float32 array are the float64 numbers of the same counters, rounded.
Words are held as uint64 below 2^32. Nothing here is compiled with fast mathematics, so the bits do not depend on the loop around a draw.
"""
import numpy as np
from numba import njit

from symvi.codegen_templates.scalar_math import cos_and_sin_of_turns, log_of_parts, mantissa_and_exponent, square_root

DRAWS = dict(error_model="numpy", nogil=True)
INLINED = dict(forceinline=True, **DRAWS)

WORD = np.uint64(0xFFFFFFFF)
WORD_BITS = np.uint64(32)
PHILOX_M0, PHILOX_M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
PHILOX_W0, PHILOX_W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
FRACTION_SHIFT = np.uint64(12)
PERMUTATION_COUNTER = np.uint64(0xF0000000)
ZERO = np.uint64(0)
ONE = np.uint64(1)
GROUP = 128
LARGEST_BELOW_ONE = np.float32(1.0 - 2.0**-24)


@njit(**INLINED)
def philox(c0, c1, c2, c3, k0, k1):
    """Four words from a counter of four words and a key of two: ten rounds of Philox-4x32; all are uint64 below 2^32."""
    c0, c1, c2, c3, k0, k1 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3), np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        p0 = c0 * PHILOX_M0
        p1 = c2 * PHILOX_M1
        c0, c1, c2, c3 = (p1 >> WORD_BITS) ^ c1 ^ k0, p1 & WORD, (p0 >> WORD_BITS) ^ c3 ^ k1, p0 & WORD
        k0 = (k0 + PHILOX_W0) & WORD
        k1 = (k1 + PHILOX_W1) & WORD
    return c0, c1, c2, c3


@njit(**INLINED)
def low_word(number):
    """The low 32 bits of an int64, as uint64."""
    return np.uint64(number & 0xFFFFFFFF)


@njit(**INLINED)
def uniform_of_words(high, low):
    """(k + 1/2) 2^-52 with k the 52 leading bits of two words: exact, in the open interval (0, 1)."""
    return np.float64(high) * 2.0**-32 + (np.float64(low >> FRACTION_SHIFT) * 2.0**-52 + 2.0**-53)


@njit(**INLINED)
def log_of_uniform(u):
    """log(u) for u in (0, 1), not subnormal."""
    m, k = mantissa_and_exponent(u)
    return log_of_parts(m, k, 0.0)


@njit(**INLINED)
def box_muller(u, v):
    """Two independent normals sqrt(-2 log u) (cos 2 pi v, sin 2 pi v) of two uniforms (Box & Muller, Ann. Math. Stat. 29, 1958)."""
    radius = square_root(-2.0 * log_of_uniform(u))
    cosine, sine = cos_and_sin_of_turns(v)
    return radius * cosine, radius * sine


@njit(**INLINED)
def uniform_pair(c0, c1, c2, c3, k0, k1):
    """Two uniforms of one counter."""
    w0, w1, w2, w3 = philox(c0, c1, c2, c3, k0, k1)
    return uniform_of_words(w0, w1), uniform_of_words(w2, w3)


@njit(**INLINED)
def normal_pair(c0, c1, c2, c3, k0, k1):
    """Two standard normals of one counter."""
    u, v = uniform_pair(c0, c1, c2, c3, k0, k1)
    return box_muller(u, v)


@njit(**INLINED)
def exponential_pair(c0, c1, c2, c3, k0, k1):
    """Two standard exponentials -log u of one counter."""
    u, v = uniform_pair(c0, c1, c2, c3, k0, k1)
    return -log_of_uniform(u), -log_of_uniform(v)


@njit(**INLINED)
def rademacher_pair(c0, c1, c2, c3, k0, k1):
    """Two fair signs of one counter: 1 where u < 1/2, else -1."""
    u, v = uniform_pair(c0, c1, c2, c3, k0, k1)
    return 1.0 if u < 0.5 else -1.0, 1.0 if v < 0.5 else -1.0


def drawing_from(pair):
    """The drawing function of a function of a counter; made here, because code that gets a function as an argument cannot be cached."""

    @njit(**DRAWS)
    def draw(out, key, site, particle, first_row, rows):
        """Fills the C array out[r, c]; its row r is global row rows[first_row + r], or first_row + r if `rows` is empty.

        key is int64 [seed, stream, step]. Works on groups of counters: their words, then the numbers (the only loop over the generator,
        vector code), then the copy to their places.
        """
        c2 = low_word(key[2])
        c3 = low_word(key[1] << 28 | site << 16 | particle)
        k0 = low_word(key[0])
        k1 = low_word(key[0] >> 32)
        count, width = out.shape
        flat = out.reshape(out.size)
        single = width == 1
        gathered = rows.size > 0
        chosen = rows[first_row:first_row + count] if gathered else rows
        blocks = (width + 1) >> 1
        start = first_row >> 1 if single else first_row
        total = count * blocks
        if single and not gathered and count:
            total = ((first_row + count - 1) >> 1) - start + 1
        words = np.empty((2, GROUP), np.uint64)
        numbers = np.empty(2 * GROUP)
        row = 0
        block = 0
        place = 0
        row_end = width
        for begin in range(0, total, GROUP):
            size = min(GROUP, total - begin)
            positions = words[0, :size]
            row_words = words[1, :size]
            for j in range(size):
                row_words[j] = low_word((chosen[row] >> 1 if single else chosen[row]) if gathered else start + row)
                positions[j] = np.uint64(block)
                block += 1
                if block == blocks:
                    block = 0
                    row += 1
            drawn = numbers[:2 * size]
            for j in range(size):
                even, odd = pair(positions[j], row_words[j], c2, c3, k0, k1)
                drawn[2 * j] = even
                drawn[2 * j + 1] = odd
            if single and gathered:
                for j in range(size):
                    flat[begin + j] = drawn[2 * j + (chosen[begin + j] & 1)]
            elif width & 1 and not single:
                for j in range(size):
                    flat[place] = drawn[2 * j]
                    place += 1
                    if place < row_end:
                        flat[place] = drawn[2 * j + 1]
                        place += 1
                    else:
                        row_end += width
            else:
                shift = 2 * begin - (first_row & 1 if single else 0)
                low = max(0, -shift)
                high = min(2 * size, flat.size - shift)
                target = flat[shift + low:shift + high]
                source = drawn[low:high]
                for i in range(target.size):
                    target[i] = source[i]

    return draw


draw_normal = drawing_from(normal_pair)  # standard normals
draw_exponential = drawing_from(exponential_pair)  # standard exponentials
draw_rademacher = drawing_from(rademacher_pair)  # fair signs, -1 or 1
draw_uniform_rounded = drawing_from(uniform_pair)


@njit(**DRAWS)
def draw_uniform(out, key, site, particle, first_row, rows):
    """Uniforms on the open interval (0, 1), as the draws above; in float32 what would round to 1 is 1 - 2^-24."""
    draw_uniform_rounded(out, key, site, particle, first_row, rows)
    flat = out.reshape(out.size)
    for i in range(flat.size):
        if flat[i] >= 1.0:
            flat[i] = LARGEST_BELOW_ONE


# ---------------------------------------------------------------- keyed permutations
@njit(**DRAWS)
def permutation_keys(seed, epoch):
    """Eight round keys of the permutation of an epoch, two calls of Philox on stream 15."""
    k0 = low_word(seed)
    k1 = low_word(seed >> 32)
    a = philox(ZERO, low_word(epoch), low_word(epoch >> 32), PERMUTATION_COUNTER, k0, k1)
    b = philox(ONE, low_word(epoch), low_word(epoch >> 32), PERMUTATION_COUNTER, k0, k1)
    return a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]


@njit(**INLINED)
def mixed_word(x, k):
    """A pseudo-random word of two words below 2^32: two multiplications of Philox, high and low halves folded."""
    k = np.uint64(k)
    p = ((x ^ k) & WORD) * PHILOX_M0
    p = (((p >> WORD_BITS) ^ (p & WORD) ^ k) & WORD) * PHILOX_M1
    return (p >> WORD_BITS) ^ (p & WORD)


@njit(**DRAWS)
def bits_of_domain(n):
    """The number of bits of n - 1, at least 6: fewer leave the Feistel rounds too few functions to choose from."""
    bits = 6
    while n > 1 << bits:
        bits += 1
    return bits


@njit(**INLINED)
def feistel(x, bits, keys):
    """A permutation of the numbers of `bits` bits: eight Feistel rounds on two halves (Black & Rogaway, CT-RSA 2002)."""
    low_bits = np.uint64(bits >> 1)
    low_mask = (ONE << low_bits) - ONE
    high_mask = (ONE << np.uint64(bits - (bits >> 1))) - ONE
    high = x >> low_bits
    low = x & low_mask
    for even_key, odd_key in ((keys[0], keys[1]), (keys[2], keys[3]), (keys[4], keys[5]), (keys[6], keys[7])):
        high = (high ^ mixed_word(low, even_key)) & high_mask
        low = (low ^ mixed_word(high, odd_key)) & low_mask
    return (high << low_bits) | low


@njit(**DRAWS)
def permuted_by_keys(i, n, bits, keys):
    """The image of i in range(n): a permutation of the numbers of `bits` bits, again while outside of the range."""
    size = np.uint64(n)
    x = feistel(np.uint64(i), bits, keys)
    while x >= size:
        x = feistel(x, bits, keys)
    return np.int64(x)


@njit(**DRAWS)
def permuted_range(out, first, n, bits, keys):
    """out[j] is the image of first + j. Groups of images are vector code; those outside of the range are gathered and go again."""
    size = np.uint64(n)
    images = np.empty(GROUP, np.uint64)
    places = np.empty(GROUP, np.int64)
    for begin in range(0, out.size, GROUP):
        left = min(GROUP, out.size - begin)
        for j in range(left):
            images[j] = np.uint64(first + begin + j)
            places[j] = begin + j
        while left:
            for j in range(left):
                images[j] = feistel(images[j], bits, keys)
            outside = 0
            for j in range(left):
                image, place = images[j], places[j]
                out[place] = np.int64(image)
                images[outside], places[outside] = image, place
                outside += image >= size
            left = outside


@njit(**DRAWS)
def permuted_index(i, n, key):
    """The image of i under the permutation of range(n) that belongs to key = (seed, epoch); no table."""
    return permuted_by_keys(i, n, bits_of_domain(n), permutation_keys(key[0], key[1]))


@njit(**DRAWS)
def fill_batch(rows_out, n, seed, step):
    """The B = rows_out.size distinct rows of a step: batch b of an epoch (n // B of them) takes images b B up to (b + 1) B; 1 if B > n."""
    size = rows_out.size
    if size > n:
        return 1
    if size:
        batches = n // size
        keys = permutation_keys(seed, step // batches)
        bits = bits_of_domain(n)
        first = step % batches * size
        permuted_range(rows_out, first, n, bits, keys)
    return 0
