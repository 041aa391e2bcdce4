"""Metrics, baselines, verdict and report; takes plain arrays and knows nothing of tables or networks."""
