"""Layers that run over time, and their cells."""
