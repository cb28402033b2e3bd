"""The nine stats endpoints, one module for each family."""
