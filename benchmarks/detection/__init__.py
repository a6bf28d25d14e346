"""What the chain finds, by attacks that ignore it: true figures, but the easy ones."""
