"""The pictures in `docs/images`: the console's pages over real endpoints, and the plot of drift."""
