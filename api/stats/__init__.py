"""The stats endpoints, one module for each family."""
