"""Where this installation has its files: in a checkout, or in what a wheel put beside the packages.

Both have `profiles.yml` and `dbt_project/` in one folder, the project root. No run writes below it:
what runs make lies in the home folder.
"""

import os
from pathlib import Path

_BESIDE_THE_PACKAGES = Path(__file__).resolve().parents[1]
# `setup.py` fills it when a wheel is built; a checkout does not have it.
_FROM_A_WHEEL = _BESIDE_THE_PACKAGES / "agentstats"


def is_from_a_wheel() -> bool:
    """Whether a wheel was installed, as against a checkout that is run in place."""
    return (_FROM_A_WHEEL / "profiles.yml").is_file()


def project_root() -> Path:
    """The folder that has `profiles.yml` and `dbt_project/`."""
    return _FROM_A_WHEEL if is_from_a_wheel() else _BESIDE_THE_PACKAGES


def dbt_project() -> Path:
    """The folder of the dbt project, with the declared metrics."""
    return project_root() / "dbt_project"


def parsed_ahead() -> Path:
    """The folder that whoever builds may parse the dbt project into, for all home folders.

    Every wheel should have it. In a checkout, where models change, it may be missing or old.
    """
    return project_root() / ("parsed" if is_from_a_wheel() else "build/parsed")


def default_home() -> Path:
    """The home folder where AGENTSTATS_HOME names none; whether it exists is not looked at."""
    if not is_from_a_wheel():
        return _BESIDE_THE_PACKAGES / "data"
    # The XDG base directories say to ignore a relative path.
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local" / "share") / "agentstats"


def environment_file() -> Path:
    """`.env` of the checkout; without one, of the folder that a command is run in."""
    return Path(".env") if is_from_a_wheel() else _BESIDE_THE_PACKAGES / ".env"
