"""Training of the purifiers that are networks: the only place of this package that imports torch."""
