"""Bytes to rows and back: Open Inference Protocol v2, plain JSON, images. Every refusal lives here. Pure."""
