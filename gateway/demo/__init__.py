"""The demonstration: a small model of handwritten digits, protected, served and attacked. Needs the `demo` extra."""
