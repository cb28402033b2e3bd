"""The web server around the app. Imports app and below."""
