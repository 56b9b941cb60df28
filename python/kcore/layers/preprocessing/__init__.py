"""Layers that prepare data: scaling, resizing, encoding, and augmentation with random changes in training."""
