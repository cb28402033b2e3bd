"""What a hostile or a busy client does to a real server. `make fuzz` runs the big versions."""
