"""Layers that slide kernels over time, images or volumes."""
