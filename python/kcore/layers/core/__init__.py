"""Layers without a family: Input, Dense and the like."""
