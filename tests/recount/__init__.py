"""An independent recount of landing files in plain Python: it shares no code with the product."""
