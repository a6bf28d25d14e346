"""What the console costs: its pages over a full store."""
