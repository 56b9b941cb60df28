"""Layers that add noise or penalties in training."""
