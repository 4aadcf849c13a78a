"""Naive spellings against high-precision arithmetic, value and gradient: `python -m benchmarks.spellings`.

A row is one expression as a user would type it. Tables of rows are declarations (`scalar_rows_*.py`); `reference.py` says what
the values are, `kernels.py` compiles rows, `check.py` compares, `variants.py` makes spellings that no table holds.
"""
