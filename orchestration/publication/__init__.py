"""The published file: made, described, read, exported. Imports warehouse and below."""
