"""Other people's drift detectors, run beside the path on a sample."""
