"""Attacks by queries against a served endpoint: when their principal is marked, and whether honest ones are."""
