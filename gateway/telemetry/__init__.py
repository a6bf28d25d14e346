"""What is written down of a decision: deferred spans, tail sampling, export. Nothing here delays an answer."""
