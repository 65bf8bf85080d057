"""The results file: what is written is read back, and nothing malformed passes."""

import json

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.types import UserError

RECORD = {
    "backbone": "t5_mini",
    "method": "spot",
    "init": "file",
    "source": "s",
    "target": "t",
    "seed": 0,
    "metric": "accuracy",
    "split": "test",
    "score": 80.0,
    "step": 50,
    "steps": 100,
    "curve": [[0, 40.0], [50, 81.0]],
    "seconds": 1.5,
}


def test_rows_are_read_back_and_summarized_over_seeds(tmp_path):
    records = [
        RECORD,
        {**RECORD, "seed": 1, "score": 84.0},
        {**RECORD, "target": "u", "score": None},
    ]
    results.write_records(tmp_path / "run" / "results.json", records)
    assert results.read_records(tmp_path / "run" / "results.json") == records
    columns = ("method", "init", "source", "target", "metric", "split")
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    assert content["summary"] == [
        {
            **{name: RECORD[name] for name in columns},
            "mean": 82.0,
            "std": pytest.approx(8**0.5),
            "n": 2,
        }
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"score": "80"}, "score is '80'"),
        ({"score": float("nan")}, "nan is not a finite number"),
        ({"seed": True}, "seed is True"),
        ({"curve": [[1, 2, 3]]}, r"curve has \[1, 2, 3\]"),
        ({"curve": [[1, None]]}, "None is not a finite number"),
        ({"colour": "red"}, r"missing \[\], unknown \['colour'\]"),
    ],
)
def test_a_malformed_row_is_never_written(tmp_path, change, problem):
    path = tmp_path / "results.json"
    with pytest.raises(ValueError, match=f"row 1: {problem}"):
        results.write_records(path, [RECORD, {**RECORD, **change}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 3}', '{"rows": [{"method": "spot"}]}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"results.json: .*; run the command again") as error:
        results.read_records(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no results here"):
        results.read_records(tmp_path / "results.json")
