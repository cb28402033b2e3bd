"""One small day worked out by hand; see WORKED_OUT.md."""
