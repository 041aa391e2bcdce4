"""Transcription: recordings in, token strings out."""
