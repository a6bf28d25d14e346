"""The operator's pages: a process of its own over the trace store and the metrics files, never the one that serves."""
