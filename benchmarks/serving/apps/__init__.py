"""The unprotected servers watchgate is compared with. Each reads the model's path from BENCH_MODEL."""
