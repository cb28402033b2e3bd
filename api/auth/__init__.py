"""Who asks: keys, and how much they may ask. Imports errors and settings."""
