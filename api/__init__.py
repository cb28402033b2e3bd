"""Read-only answers from one published file, in rooms. Imports nothing of the pipeline."""
