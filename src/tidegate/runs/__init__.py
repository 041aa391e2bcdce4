"""Run folders: files that keep a model usable, and nothing that knows what is in them."""
