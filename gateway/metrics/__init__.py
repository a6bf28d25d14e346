"""Prometheus numbers: counted by each worker, added up over all of them."""
