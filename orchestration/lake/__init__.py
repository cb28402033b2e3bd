"""The lake's files: write, verify, delete, compact, give up. Imports storage and below."""
