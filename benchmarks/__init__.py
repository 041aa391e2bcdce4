"""One module for each question about speed or accuracy: python -m benchmarks.NAME [--json]."""
