"""Figures that tell what an honest input looks like, taken from the input alone."""
