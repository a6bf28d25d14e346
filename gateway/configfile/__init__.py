"""Reads watchgate.yaml; every mistake is told with its line."""

from gateway.configfile.reading import read

__all__ = ["read"]
