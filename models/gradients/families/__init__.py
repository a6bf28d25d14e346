"""Torch functions for ONNX operators, one family a file; each ends in its table."""
