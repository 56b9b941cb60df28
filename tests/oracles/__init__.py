"""Naive float64 versions of ops, which nobody optimizes. NumPy only."""
