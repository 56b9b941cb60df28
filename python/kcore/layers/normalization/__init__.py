"""Layers that give their inputs a common scale."""
