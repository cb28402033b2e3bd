"""Everything that is Dagster's: when, never what. Imports monitoring and below."""
