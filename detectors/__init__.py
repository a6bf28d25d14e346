"""Evidence: one score a row, higher is more suspicious. One file a method, with its paper."""
