"""Uploads before they are a run: listed, being sent, refused, repeated, and sealed into batches."""
