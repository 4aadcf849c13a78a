"""Counter-based draws: known answers, the counter layout, splits, moments, permutations."""
import math

import numpy as np
import pytest

from symvi.codegen_templates import random_numbers

NO_ROWS = np.empty(0, np.int64)
KEY = np.array([-8234567890123456789, 3, 5_000_000_011])  # a negative seed, a step of more than 32 bits
KNOWN_ANSWERS = (  # kat_vectors of the Random123 distribution: counter and key, words
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
)


def reference_uniforms(key, site, particle, row, column, single):
    """The two uniforms of a counter and which of them a place uses, from the layout in the documentation."""
    block, number, branch = (0, row >> 1, row & 1) if single else (column >> 1, row, column & 1)
    seed, stream, step = (int(v) for v in key)
    low = 0xFFFFFFFF
    words = (block, number & low, step & low, stream << 28 | site << 16 | particle, seed & low, seed >> 32 & low)
    w = [int(v) for v in random_numbers.philox.py_func(*words)]
    return [((w[i] << 20 | w[i + 1] >> 12) + 0.5) / 2**52 for i in (0, 2)], branch


DRAWS = {  # name: the number from two uniforms and the branch
    "draw_normal": lambda u, b: math.sqrt(-2 * math.log(u[0])) * (math.cos, math.sin)[b](2 * math.pi * u[1]),
    "draw_uniform": lambda u, b: u[b],
    "draw_exponential": lambda u, b: -math.log(u[b]),
    "draw_rademacher": lambda u, b: 1.0 if u[b] < 0.5 else -1.0,
}


def test_philox_known_answers_compiled_and_in_plain_python():
    for counter, words in KNOWN_ANSWERS:
        for function in (random_numbers.philox, random_numbers.philox.py_func):
            assert tuple(int(w) for w in function(*map(np.uint64, counter))) == words


@pytest.mark.parametrize("name", DRAWS)
def test_layout_of_counters(name):
    draw = getattr(random_numbers, name)
    rows = np.random.default_rng(0).integers(0, 2**33, 400)
    bad = []
    for shape in ((0, 0), (3, 0), (1, 1), (6, 1), (7, 1), (300, 1), (2, 2), (150, 2), (1, 3), (131, 3), (3, 64), (2, 65), (3, 301)):
        for first, chosen in ((0, NO_ROWS), (5, NO_ROWS), (0, rows), (7, rows)):
            out = np.full(shape, np.nan)
            draw(out, KEY, 4095, 65535, first, chosen)
            for r in {0, 1, shape[0] // 2, shape[0] - 1} & set(range(shape[0])):
                for c in {0, 1, 2, shape[1] // 2, shape[1] - 1} & set(range(shape[1])):
                    row = int(chosen[first + r]) if chosen.size else first + r
                    want = DRAWS[name](*reference_uniforms(KEY, 4095, 65535, row, c, shape[1] == 1))
                    if not abs(out[r, c] - want) <= 1e-14 * max(1.0, abs(want)):
                        bad.append((shape, first, chosen.size, r, c, out[r, c], want))
            if np.isnan(out).any():
                bad.append((shape, "left empty"))
    assert not bad


def test_values_do_not_depend_on_how_rows_are_split():
    for width in (1, 2, 5, 40):
        whole, parts, gathered = np.empty((300, width)), np.empty((300, width)), np.empty((300, width))
        random_numbers.draw_normal(whole, KEY, 1, 2, 10, NO_ROWS)
        for begin, end in ((0, 1), (1, 2), (2, 131), (131, 300)):
            random_numbers.draw_normal(parts[begin:end], KEY, 1, 2, 10 + begin, NO_ROWS)
        random_numbers.draw_normal(gathered, KEY, 1, 2, 3, np.arange(7, 400))
        assert np.array_equal(whole, parts) and np.array_equal(whole, gathered)


def test_plain_python_gives_the_same_numbers():
    for shape in ((5, 1), (3, 2), (3, 3)):
        for rows in (NO_ROWS, np.array([4, 9, 2, 11, 0, 3])):
            compiled, plain = np.empty(shape), np.empty(shape)
            random_numbers.draw_normal(compiled, KEY, 1, 0, 1, rows)
            random_numbers.draw_normal.py_func(plain, KEY, 1, 0, 1, rows)
            assert np.array_equal(compiled, plain)
    for i in range(11):
        keys = random_numbers.permutation_keys.py_func(5, 6)
        assert random_numbers.permuted_by_keys.py_func(i, 11, 6, keys) == random_numbers.permuted_index(i, 11, (5, 6))
        assert random_numbers.permuted_index.py_func(i, 11, (5, 6)) == random_numbers.permuted_index(i, 11, (5, 6))


def test_float32_is_the_rounded_float64():
    for draw in (random_numbers.draw_normal, random_numbers.draw_uniform):
        for width in (1, 4):
            double, single = np.empty((100, width)), np.empty((100, width), np.float32)
            draw(double, KEY, 1, 2, 3, NO_ROWS)
            draw(single, KEY, 1, 2, 3, NO_ROWS)
            assert np.array_equal(double.astype(np.float32), single)


def test_uniforms_are_inside_the_open_interval():
    everything, nothing = np.uint64(0xFFFFFFFF), np.uint64(0)
    assert random_numbers.uniform_of_words(everything, everything) == 1 - 2.0**-53
    assert random_numbers.uniform_of_words(nothing, nothing) == 2.0**-53
    largest, smallest = random_numbers.box_muller(1 - 2.0**-53, 0.5), random_numbers.box_muller(2.0**-53, 2.0**-53)
    assert np.isfinite(largest).all() and np.isfinite(smallest).all()
    assert random_numbers.LARGEST_BELOW_ONE < 1 and np.nextafter(random_numbers.LARGEST_BELOW_ONE, np.float32(2)) == 1


def test_moments_and_independence():
    n = 200_000
    moments = {random_numbers.draw_normal: (0, 1, 0, 3), random_numbers.draw_uniform: (1 / 2, 1 / 3, 1 / 4, 1 / 5),
               random_numbers.draw_exponential: (1, 2, 6, 24), random_numbers.draw_rademacher: (0, 1, 0, 1)}
    for draw, expected in moments.items():
        x = np.empty((n // 2, 2))
        draw(x, KEY, 0, 0, 0, NO_ROWS)
        for power, want in enumerate(expected, 1):
            values = x.ravel() ** power
            assert abs(values.mean() - want) <= 5 * values.std() / math.sqrt(n)
    variants = []
    places = ((1, 0, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0), (1 + 2**32, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0), (1, 0, 1, 0, 0, 0), 
              (1, 0, 0, 1, 0, 0), (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, n))
    for seed, stream, step, site, particle, first in places:
        x = np.empty((n // 2, 2))
        random_numbers.draw_normal(x, np.array([seed, stream, step]), site, particle, first, NO_ROWS)
        variants += [x[:, 0], x[:, 1], np.roll(x[:, 0], 1), x[:, 0] ** 2 - 1, x[:, 1] ** 2 - 1]
    correlation = np.corrcoef(variants) - np.eye(len(variants))
    assert np.abs(correlation).max() < 5.5 / math.sqrt(n // 2)


def test_permutations():
    for n in [*range(1, 51), 1000]:
        for key in ((0, 0), (-3, 7)):
            assert sorted(random_numbers.permuted_index(i, n, key) for i in range(n)) == list(range(n))
    first = [tuple(random_numbers.permuted_index(i, 4, (9, epoch)) for i in range(4)) for epoch in range(4800)]
    counts = np.array([first.count(p) for p in set(first)])
    assert counts.size == 24 and ((counts - 200) ** 2 / 200).sum() < 60  # chi-square of 23 degrees of freedom
    assert 0 <= random_numbers.permuted_index(10**12, 10**12 + 1, (1, 2)) <= 10**12


def test_batches_partition_the_rows_of_an_epoch():
    n, size = 103, 20
    rows = np.empty(size, np.int64)
    epochs = []
    for epoch in range(3):
        seen = []
        for batch in range(n // size):
            assert random_numbers.fill_batch(rows, n, 8, epoch * (n // size) + batch) == 0
            seen += rows.tolist()
            assert seen[-size] == random_numbers.permuted_index(batch * size, n, (8, epoch))
        assert len(set(seen)) == len(seen) == 100 and min(seen) >= 0 and max(seen) < n
        epochs.append(seen)
    assert epochs[0] != epochs[1] != epochs[2]
    assert random_numbers.fill_batch(rows, 19, 8, 0) == 1
    assert random_numbers.fill_batch(rows, 20, 8, 5) == 0 and sorted(rows) == list(range(20))


def test_compiled_code_can_be_cached():
    random_numbers.draw_normal(np.empty((1, 2)), KEY, 0, 0, 0, NO_ROWS)
    random_numbers.fill_batch(np.empty(1, np.int64), 3, 0, 0)
    for function in (random_numbers.draw_normal, random_numbers.fill_batch):
        assert not any(compiled.library.has_dynamic_globals for compiled in function.overloads.values())
