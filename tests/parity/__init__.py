"""Comparisons with Keras on JAX. A package, so that a file may be called as the one beside it that needs no Keras."""
