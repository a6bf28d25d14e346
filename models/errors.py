"""What can go wrong with a model: every text is one line that says what was expected and what was found."""

from __future__ import annotations


class ModelError(ValueError):
    """The model file, or what the config says of it, can't be used."""


class UnsafeModel(ModelError):
    """The model file holds something that could run code or read other files when it is loaded."""
