"""What every request passes through. Imports services and below."""
