"""The check of leaderboard zips: full-size ones pass, and each kind of fault is told."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from prompt_tuning.analysis.leaderboard import LEADERBOARDS, Submission, content, write_zip
from prompt_tuning.analysis.leaderboard_check import faults


def answers(file: Submission) -> list:
    """Returns an answer for every row of a file; MultiRC's have five answers a question."""
    names = ("idx_paragraph", "idx_question", "idx_answer", "idx_query")
    found = []
    for index in range(file.count):
        place = dict(zip(names, (index // 50, index // 5, index, index), strict=True))
        value = {"similarity": 2.5, "text": "an entity"}.get(file.kind, index % 2)
        found.append(({"idx": index, **place}, value))
    return found


def small(name: str, count: int = 4) -> tuple[Submission, ...]:
    return tuple(dataclasses.replace(file, count=count) for file in LEADERBOARDS[name])


def contents(files: tuple[Submission, ...]) -> dict[str, str]:
    return {file.name: content(file, answers(file)) for file in files}


@pytest.mark.parametrize("name", LEADERBOARDS)
def test_a_full_submission_is_right(tmp_path: Path, name: str):
    write_zip(tmp_path / "zip", contents(LEADERBOARDS[name]))
    assert faults(tmp_path / "zip", LEADERBOARDS[name]) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        ("CoLA.tsv", "index\tprediction", "idx\tlabel", ", line 1: the header is 'idx\\tlabel'"),
        ("CoLA.tsv", "\n1\t1", "\n1\t2", ', line 3: "2" is none of "0", "1"'),
        ("CoLA.tsv", "\n1\t1", "\n1 1", ", line 3: '1 1' is not an index and a prediction"),
        ("CoLA.tsv", "\n1\t1", "\nx\t1", ", line 3: the index 'x' is not an integer"),
        ("CoLA.tsv", "\n1\t1", "\n2\t1", ": the index 2 appears 2 times"),
        ("CoLA.tsv", "\n1\t1", "\n9\t1", ": the index 1 is missing"),
        ("CoLA.tsv", "\n3\t1", "", ": 3 answers, not 4"),
        ("QNLI.tsv", "not_entailment", "neutral", ', line 3: "neutral" is none of'),
        ("STS-B.tsv", "2.500", "5.5", ", line 2: '5.5' is not a number from 0 to 5"),
        ("STS-B.tsv", "2.500", "nan", ", line 2: 'nan' is not a number from 0 to 5"),
    ],
)
def test_a_fault_of_glue_is_told(tmp_path: Path, name: str, before: str, after: str, fault: str):
    check_fault(tmp_path, "glue", name, before, after, fault)


@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        ("BoolQ.jsonl", '"true"', "true", ', line 2: true is none of "false", "true"'),
        ("WSC.jsonl", '"True"', '"true"', ', line 2: "true" is none of "False", "True"'),
        ("COPA.jsonl", '"label": 1', '"label": "1"', ', line 2: "1" is none of 0, 1'),
        ("COPA.jsonl", '"label": 1', '"label": true', ", line 2: true is none of 0, 1"),
        ("CB.jsonl", '"idx": 1', '"idx": "1"', ', line 2: the idx "1" is not an integer'),
        ("CB.jsonl", '"idx": 1', '"index": 1', ', line 2: {"index": 1'),
        ("CB.jsonl", '"idx": 1', '"idx": 1 ,', ", line 2: not JSON"),
        ("CB.jsonl", '"idx": 1', '"idx": 2', ": the index 2 appears 2 times"),
        ("ReCoRD.jsonl", '"an entity"', "3", ", line 1: 3 is not a text"),
        ("MultiRC.jsonl", '"label": 1', '"label": 2', ", line 1: 2 is none of 0, 1"),
        ("MultiRC.jsonl", '"questions"', '"question"', ", line 1: it is not of the form"),
        ("MultiRC.jsonl", '{"idx": 3,', '{"idx": 2,', ": the index 2 appears 2 times"),
    ],
)
def test_a_fault_of_super_glue_is_told(
    tmp_path: Path, name: str, before: str, after: str, fault: str
):
    check_fault(tmp_path, "super_glue", name, before, after, fault)


def check_fault(folder: Path, leaderboard: str, name: str, before: str, after: str, fault: str):
    files = small(leaderboard)
    texts = contents(files)
    assert before in texts[name]
    texts[name] = texts[name].replace(before, after, 1)
    write_zip(folder / "zip", texts)
    told = faults(folder / "zip", files)
    assert any(line.startswith(f"{name}{fault}") for line in told), told
    assert all(line.startswith(name) for line in told)


def test_missing_surplus_and_double_files_are_told(tmp_path: Path):
    files = small("glue")
    texts = contents(files)
    texts["glue/RTE.tsv"] = texts.pop("RTE.tsv")
    write_zip(tmp_path / "zip", texts)
    assert faults(tmp_path / "zip", files) == [
        "RTE.tsv is missing",
        "glue/RTE.tsv does not belong in the zip",
    ]
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / "zip", "a") as archive,
    ):
        archive.writestr("AX.tsv", texts["AX.tsv"])
    assert "AX.tsv appears twice" in faults(tmp_path / "zip", files)


def test_what_is_no_zip_is_told(tmp_path: Path):
    (tmp_path / "zip").write_text(json.dumps({}))
    assert "not a zip file" in faults(tmp_path / "zip", small("glue"))[0]
    assert "there is no such file" in faults(tmp_path / "none", small("glue"))[0]


def test_many_faults_of_one_file_are_counted(tmp_path: Path):
    files = small("glue", count=9)
    texts = contents(files)
    texts["WNLI.tsv"] = texts["WNLI.tsv"].replace("\t1", "\tyes").replace("\t0", "\tno")
    write_zip(tmp_path / "zip", texts)
    told = faults(tmp_path / "zip", files)
    assert len(told) == 4
    assert told[-1] == "WNLI.tsv: 6 more faults"
