"""Drift while serving: rows counted beside the path, sums flushed to the shared store, evaluated once for all."""
