"""Marks on principals and how they ask: in a file for the workers of one host, in Redis for several hosts."""
