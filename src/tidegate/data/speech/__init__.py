"""Speech: corpora on disk become utterances, frames and batches."""
