"""The product as its users start it: a folder of its own, and the command line."""

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generated import NOW
from benchmarks.machine import CHECKOUT
from benchmarks.measuring import Cost, of_command

# The product's own environment, not that of the benchmarks: their packages cost it nothing.
PYTHON = CHECKOUT / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Product:
    """An installation below `home`."""

    home: Path

    @property
    def landing(self) -> Path:
        """Where files are dropped."""
        return self.home / "landing"

    def run(self, *arguments: str, **settings: object) -> Cost:
        """The cost of `agentstats` with these arguments, its start included."""
        program = "from orchestration.cli import main; main()"
        return self.program(program, *arguments, **settings)

    def program(self, program: str, *arguments: str | Path, **settings: object) -> Cost:
        """The cost of a program in the product's own environment."""
        given = {f"AGENTSTATS_{name.upper()}": str(value) for name, value in settings.items()}
        return self._cost([PYTHON, "-c", program, *arguments], given)

    def dbt(self, *arguments: str) -> Cost:
        """The cost of dbt on the same project, in a target folder of its own."""
        program = "from dbt.cli.main import cli; cli()"
        options = [
            *("--project-dir", str(CHECKOUT / "dbt_project")),
            *("--profiles-dir", str(CHECKOUT)),
            *("--target-path", str(self.home / "dbt-target")),
            *("--no-send-anonymous-usage-stats", "--no-version-check"),
        ]
        return self._cost(
            [PYTHON, "-c", program, *arguments, *options],
            {"WAREHOUSE_PATH": str(self.home / "dbt.duckdb")},
        )

    def _cost(self, command: list[str | Path], given: dict[str, str]) -> Cost:
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            "PYTHONPATH": str(CHECKOUT),
            "AGENTSTATS_HOME": str(self.home),
            "AGENTSTATS_NOW": NOW,
            **given,
        }
        return of_command(command, environment=environment, log=self.home.parent / "log")
