"""From a table to windows: read, assemble, check, clean, split, scale."""
