"""The step of a build that `pyproject.toml` cannot say: what lies beside the packages goes in too.

`dbt_project/` and `profiles.yml` stay on the top level of the checkout. A wheel has them in
`agentstats/`, where `api/installation.py` finds them, with what dbt makes of them (`parsed/`): who
installs it writes nothing below the installation. See docs/decisions/0022-one-wheel.md.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CHECKOUT = Path(__file__).resolve().parent
PROJECT = (
    *("dbt_project.yml", "metrics.yml", "models", "macros", "price_list", "seeds"),
    "data_tests",
)
PARSE = """
from api.installation import parsed_ahead
from orchestration.warehouse.dbt import parse_into
parse_into(parsed_ahead())
"""
NEEDLESS = (".parsing.lock", "perf_info.json", "semantic_manifest.json")


class BuildWithProject(build_py):
    """Builds the packages, then `agentstats/` beside them. An editable install has the checkout."""

    def run(self) -> None:
        """Build. Raises `CalledProcessError` where dbt cannot parse the project."""
        super().run()
        if not self.editable_mode:
            self._add_project()

    def _add_project(self) -> None:
        built = Path(self.build_lib).resolve()
        shipped = built / "agentstats"
        shutil.rmtree(shipped, ignore_errors=True)
        (shipped / "dbt_project").mkdir(parents=True)
        shutil.copy2(CHECKOUT / "profiles.yml", shipped)
        for name in PROJECT:
            source, target = CHECKOUT / "dbt_project" / name, shipped / "dbt_project" / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy2(source, target)
        if find_spec("dbt") is None:
            # An isolated build has the build back end alone. The first run parses, into a cache.
            self.warn("dbt is not there to parse the project: the wheel goes without `parsed/`")
            return
        # By the code that was just built, so that the parse is of what the wheel has.
        subprocess.run([sys.executable, "-B", "-W", "ignore", "-c", PARSE], cwd=built, check=True)
        for name in NEEDLESS:
            (shipped / "parsed" / name).unlink()


setup(cmdclass={"build_py": BuildWithProject})
