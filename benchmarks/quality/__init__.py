"""What detectors, the default chain and the combiner find, on three data sets: one command."""
