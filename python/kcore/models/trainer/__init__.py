"""Trainer: compile, fit, evaluate and predict."""

from __future__ import annotations


class Trainer:
    """The part of a model that trains it."""

    def __init__(self) -> None:
        self.compiled = False
