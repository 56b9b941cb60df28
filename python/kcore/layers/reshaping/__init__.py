"""Layers that move, repeat, add or take away elements."""
