"""The pipeline, in layers of rooms. May import the API, never the other way round."""
