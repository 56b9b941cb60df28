"""Layers that apply a function to every element."""
