"""What protection costs: throughput, latency and CPU a request, beside unprotected servers."""
