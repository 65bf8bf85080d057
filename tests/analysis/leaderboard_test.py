"""Leaderboard files: their exact text, and what they stand for."""

import dataclasses
import json
import zipfile

import pytest

from prompt_tuning.analysis.leaderboard import (
    LEADERBOARDS,
    UNLABELED,
    answers_of,
    constant_answers,
    content,
    remark,
    write_zip,
)

FILES = {file.name: file for files in LEADERBOARDS.values() for file in files}


def indexed(*values) -> list:
    return [({"idx": index, "idx_query": index}, value) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("name", "values", "lines"),
    [
        ("CoLA.tsv", (1, 0), ["0\t1", "1\t0"]),
        ("QNLI.tsv", (0, 1), ["0\tentailment", "1\tnot_entailment"]),
        ("AX.tsv", (2, 1), ["0\tcontradiction", "1\tneutral"]),
        ("STS-B.tsv", (4.2, 5.6, -1.0), ["0\t4.200", "1\t5.000", "2\t0.000"]),
        ("BoolQ.jsonl", (1, 0), ['{"idx": 0, "label": "true"}', '{"idx": 1, "label": "false"}']),
        ("WSC.jsonl", (True,), ['{"idx": 0, "label": "True"}']),
        ("CB.jsonl", (1,), ['{"idx": 0, "label": "contradiction"}']),
        ("COPA.jsonl", (1,), ['{"idx": 0, "label": 1}']),
        ("ReCoRD.jsonl", ("Brünn",), ['{"idx": 0, "label": "Br\\u00fcnn"}']),
        ("AX-g.jsonl", (1,), ['{"idx": 0, "label": "not_entailment"}']),
    ],
)
def test_a_file_is_written_as_its_site_wants_it(name: str, values: tuple, lines: list[str]):
    header = ["index\tprediction"] if name.endswith(".tsv") else []
    assert content(FILES[name], indexed(*values)).splitlines() == header + lines


def test_multirc_nests_answers_in_questions_in_paragraphs():
    places = [(0, 0, 0), (0, 0, 1), (0, 1, 2), (3, 7, 9)]
    answers = [
        ({"idx_paragraph": place[0], "idx_question": place[1], "idx_answer": place[2]}, index % 2)
        for index, place in enumerate(places)
    ]
    lines = content(FILES["MultiRC.jsonl"], answers).splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "idx": 0,
            "passage": {
                "questions": [
                    {"idx": 0, "answers": [{"idx": 0, "label": 0}, {"idx": 1, "label": 1}]},
                    {"idx": 1, "answers": [{"idx": 2, "label": 0}]},
                ]
            },
        },
        {"idx": 3, "passage": {"questions": [{"idx": 7, "answers": [{"idx": 9, "label": 1}]}]}},
    ]


def test_each_half_of_mnli_has_its_own_rows_in_order():
    answers = [
        ({"idx": 1, "half": "matched"}, 0),
        ({"idx": 0, "half": "mismatched"}, 1),
        ({"idx": 0, "half": "matched"}, 2),
    ]
    assert [value for _, value in answers_of(FILES["MNLI-m.tsv"], answers)] == [2, 0]
    assert [value for _, value in answers_of(FILES["MNLI-mm.tsv"], answers)] == [1]


def test_an_answer_that_is_no_label_is_counted_and_written_as_the_first():
    answers = indexed(1, UNLABELED)
    assert remark(FILES["RTE.tsv"], answers) == "1 are not labels, written as entailment"
    assert remark(FILES["STS-B.tsv"], answers) == "1 are not labels, written as 0.000"
    assert remark(FILES["RTE.tsv"], answers[:1]) == ""
    assert content(FILES["RTE.tsv"], answers).endswith("0\tnot_entailment\n1\tentailment\n")
    assert remark(FILES["ReCoRD.jsonl"], indexed("-1", "x")) == ""


def test_wnli_without_a_prompt_has_no_entailment_throughout():
    file = dataclasses.replace(FILES["WNLI.tsv"], count=2)
    assert content(file, constant_answers(file)) == "index\tprediction\n0\t0\n1\t0\n"


def test_the_lists_have_every_file_with_the_public_counts():
    counts = {name: sum(f.count for f in files) for name, files in LEADERBOARDS.items()}
    assert counts == {"glue": 426_309, "super_glue": 29_694}
    assert [len(files) for files in LEADERBOARDS.values()] == [11, 10]


def test_a_zip_is_written_whole_and_the_same_again(tmp_path):
    texts = {"a.tsv": "1\n", "b.tsv": "2\n"}
    for name in ("one.zip", "two.zip"):
        write_zip(tmp_path / name, texts)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == texts
    assert len(list(tmp_path.iterdir())) == 2
