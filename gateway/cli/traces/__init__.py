"""`watchgate traces`: the requests that were flagged, rejected or failed, and why."""
