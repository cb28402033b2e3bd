"""`python -m api openapi.json` writes the committed copy of the OpenAPI document."""

import sys
from pathlib import Path

from api.app import create_app
from api.openapi import text_of
from api.settings import ServingSettings

if __name__ == "__main__":
    app = create_app(ServingSettings(_env_file=None))
    Path(sys.argv[1]).write_text(text_of(app), encoding="utf-8")
