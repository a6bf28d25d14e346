"""The default chain, before and after self-play, under an attack that knows all of it."""
