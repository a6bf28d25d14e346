"""Everything that knows a network, a clock or a disk."""
