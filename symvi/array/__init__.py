"""The NumPy front: shapes, broadcasting, the ufunc protocol, leaves; and the border to SymPy."""
