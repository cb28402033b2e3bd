"""The stats endpoints, one module for each family. Imports middleware, parameters and below."""
