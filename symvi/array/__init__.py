"""The NumPy front: shapes, broadcasting, NumPy's two protocols, leaves; and the border to SymPy."""

from symvi.array import numpy_protocol as _numpy_protocol  # noqa: F401 - np.exp(x) and np.sum(x, axis=0) on expressions
