"""The small version of `make torture TORTURE_ARGS=matrix`."""

from pathlib import Path

from torture import matrix


def test_a_value_harms_no_row_but_its_own(tmp_path: Path) -> None:
    """Every column with every text, and in two types of Parquet: each row ends as the contract
    says, the good rows beside it are counted, and every job ends well."""
    outcome = matrix.run(tmp_path, seed=1, types_of_a_column=2, all_packings=False)
    assert outcome.failures == []
    assert outcome.figures["surprises"] == 0
