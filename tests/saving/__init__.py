"""Files and configs. A package, so that its files share a model."""
