"""Kept numbers, and the commands that make them."""
