"""What comes in: streams, sums, others' text, a source's address. Imports no other room."""
