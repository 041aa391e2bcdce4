"""The training loop and its parts: loss, optimiser, events. It knows nothing of tables."""
