"""Layers that keep the maximum or the mean of every window, or of everything."""
