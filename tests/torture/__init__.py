"""What storage, machines and producers do to the pipeline, against an independent recount."""
