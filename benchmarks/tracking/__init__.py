"""What tracking costs: on the request path, in the thread beside it, and a busy endpoint."""
