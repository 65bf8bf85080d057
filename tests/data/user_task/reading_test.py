"""A file becomes a task: columns, words, splits and settings together, and what is refused."""

import pytest

from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.data.user_task.reading import Setting, chosen_template
from prompt_tuning.types import UserError
from tests.data.user_task.conftest import FREE, REVIEWS, comma_separated, json_lines

CSV = comma_separated("text,label", REVIEWS)


def sizes(task) -> dict[str, int]:
    return {split: len(examples) for split, examples in task.splits.items()}


def lines(task, split: str) -> list[int]:
    return [example.line for example in task.splits[split]]


def test_a_csv_is_a_task_of_classes_divided_by_class(read):
    task = read("film reviews-2.csv", CSV)
    assert (task.name, task.kind, task.labels) == ("film_reviews_2", "labels", ("bad", "good"))
    assert sizes(task) == {"train": 24, "validation": 3, "test": 3}
    for split, bad in (("train", 8), ("validation", 1), ("test", 1)):
        assert [e.targets for e in task.splits[split]].count("bad") == bad
    (first, *_) = task.splits["train"]
    assert (first.inputs, first.targets) == REVIEWS[first.line - 2]
    assert lines(task, "train") == sorted(lines(task, "train"))


def test_what_was_guessed_is_said_and_given_back_reads_the_same(read):
    task = read("a.csv", CSV)
    assert task.settings == (
        Setting("inputs", "text", True),
        Setting("label", "label", True),
        Setting("answers", "labels", True),
        Setting("metrics", ("accuracy",), True),
    )
    given = {setting.name: setting.value for setting in task.settings}
    again = read("a.csv", CSV, **given)
    assert again.splits == task.splits
    assert not any(setting.guessed for setting in again.settings)


def test_two_columns_are_told_apart_by_their_names(read):
    rows = [{"premise": f"p{i}", "hypothesis": f"h{i}", "label": i % 2} for i in range(30)]
    task = read("nli.jsonl", json_lines(rows))
    assert task.splits["train"][0].inputs == "premise: p0 hypothesis: h0"
    assert task.labels == ("0", "1")
    template = next(s for s in task.settings if s.name == "template")
    assert template == ("template", "premise: {premise} hypothesis: {hypothesis}", True)
    own = read("nli.jsonl", json_lines(rows), template="{hypothesis} because {premise}")
    assert own.splits["train"][0].inputs == "h0 because p0"
    assert [str(each.template) for each in (task, own)] == [
        "premise: {premise} hypothesis: {hypothesis}",
        "{hypothesis} because {premise}",
    ]


def test_a_template_that_is_set_is_known_before_the_file_is_read():
    def chosen(**settings):
        return chosen_template(TaskFile(**{**FREE, **settings}))

    assert chosen() is None
    assert chosen(template="a: {{}} {text}") == "a: {{}} {text}"
    assert chosen(inputs="text") == "{text}"
    assert chosen(inputs=("a", "b")) == "a: {a} b: {b}"


def test_labels_get_words_which_may_join_them(read):
    rows = [{"text": f"text {i}", "stars": i % 5 + 1} for i in range(50)]
    words = {1: "bad", "2": "bad", 3: "fair", 4: "good", 5: "good"}
    task = read("a.jsonl", json_lines(rows), label_words=words)
    assert task.labels == ("bad", "fair", "good")
    examples = [example for split in task.splits.values() for example in split]
    assert {e.line % 5: e.targets for e in examples} == {
        1: "bad",
        2: "bad",
        3: "fair",
        4: "good",
        0: "good",
    }


def test_numbers_and_texts_are_answers_too(read):
    rows = [{"sentence1": f"a{i}", "sentence2": "b", "score": i / 7} for i in range(30)]
    task = read("a.jsonl", json_lines(rows))
    assert (task.kind, task.labels) == ("numbers", ())
    assert [metric["fn"].rpartition(":")[2] for metric in task.metrics] == ["pearson", "spearman"]
    rows = [{"question": f"who is {i}", "answer": f"number {i}"} for i in range(30)]
    task = read("a.jsonl", json_lines(rows))
    assert (task.kind, task.splits["train"][0].targets) == ("text", "number 0")
    assert sizes(task) == {"train": 24, "validation": 3, "test": 3}


def test_a_column_of_splits_decides(read):
    rows = [(*row, ("train", "Dev", "test")[i % 3]) for i, row in enumerate(REVIEWS)]
    task = read("a.csv", comma_separated("text,label,split", rows))
    assert lines(task, "validation") == [3 + 3 * i for i in range(10)]
    assert sizes(task) == {"train": 10, "validation": 10, "test": 10}
    assert Setting("split", "split", True) in task.settings


def test_validation_is_taken_from_training_where_none_is_given(read):
    rows = [(*row, "test" if i < 6 else "train") for i, row in enumerate(REVIEWS)]
    task = read("a.csv", comma_separated("text,label,split", rows))
    assert sizes(task) == {"train": 22, "validation": 2, "test": 6}
    assert lines(task, "test") == [2, 3, 4, 5, 6, 7]


def test_files_of_their_own_are_the_splits(read, write):
    validation = str(write("dev.tsv", "label\ttext\ngood\twell done\nbad\tbadly done\n"))
    task = read("a.csv", CSV, validation_file=validation)
    assert sizes(task) == {"train": 30, "validation": 2}
    assert [e.inputs for e in task.splits["validation"]] == ["well done", "badly done"]
    test = str(write("test.jsonl", '{"text": "new", "label": "fair", "split": "x"}\n'))
    task = read("a.csv", CSV, validation_file=validation, test_file=test)
    assert sizes(task) == {"train": 30, "validation": 2, "test": 1}
    assert task.labels == ("bad", "fair", "good")


def test_files_of_their_own_go_before_a_column_of_splits(read, write):
    rows = [(*row, ("train", "dev")[i % 2]) for i, row in enumerate(REVIEWS)]
    validation = str(write("dev.csv", "text,label\nwell done,good\nbadly done,bad\n"))
    task = read("a.csv", comma_separated("text,label,split", rows), validation_file=validation)
    assert sizes(task) == {"train": 30, "validation": 2}


def test_shares_and_seed_name_the_division(read):
    task = read("a.csv", CSV, validation_share=0.2, test_share=0.0)
    assert sizes(task) == {"train": 24, "validation": 6}
    other = read("a.csv", CSV, validation_share=0.2, test_share=0.0, seed=1)
    assert lines(other, "validation") != lines(task, "validation")


BAD = "text,label\n" + "fine,good\n,bad\nfine,\n" + '"two\nlines",good\n' + "  ,good\n" * 4
SAME = "text,label\n" + "fine,good\n" * 4
THREE = "text,label\na,0\nb,1\nc,2\nd,0\ne,1\nf,2\n"
SPLIT = "text,label,split\na,x,train\nb,y,tset\nc,x,dev\nd,y,\n"


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (
            BAD,
            {},
            "a.csv:3: 'text' is empty; line 4: 'label' is empty; line 7: 'text' is empty; and 3 "
            "more; fix or remove them",
        ),
        (SAME, {}, "a.csv: every example has the label 'good'; a task needs two"),
        (THREE, {"label_words": {"0": "a", "1": "a", "2": "a"}}, "every example has the label 'a'"),
        (
            THREE,
            {"label_words": {0: "bad", 1: "good"}},
            "a.csv:4: label '2' is not in TaskFile.label_words; it has 0, 1; line 7: label '2'",
        ),
        (
            "text,score\na,0.5\nb,high\n",
            {"answers": "numbers"},
            "a.csv:3: 'high' is not a number; fix or remove it",
        ),
        (SPLIT, {}, "a.csv:3: 'split' is 'tset', not train, validation or test; line 5: 'split'"),
        (THREE, {"template": "{txt}"}, "no column 'txt' (TaskFile.template) (did you mean text?)"),
        (THREE, {"template": "{text}", "inputs": "label"}, "template leaves out 'label'"),
        (THREE, {"answers": "number"}, "'number' (did you mean numbers?)"),
        (THREE, {"answers": "text", "label_words": {"0": "a"}}, "answers are text, which have no"),
        (THREE, {"metrics": "rouge"}, "TaskFile.metrics has 'rouge'; answers that are labels are"),
        (THREE, {"validation_share": 1.0}, "validation_share must be in [0, 1), not 1.0"),
        (THREE, {"validation_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        (THREE, {"validation_share": 0.0}, "of 6 training examples none is left for validation"),
        (THREE, {"split": "text", "test_file": "b.csv"}, "splits are in files of their own; give"),
        (THREE, {"test_file": "no/b.csv"}, "no/b.csv: cannot read it (No such file or directory)"),
    ],
)
def test_what_cannot_be_a_task_is_refused(read, content, settings, message):
    with pytest.raises(UserError) as error:
        read("a.csv", content, **settings)
    assert message in str(error.value)


def test_a_file_without_the_columns_of_the_first_is_refused(read, write):
    path = str(write("b.csv", "txt,label\na,good\n"))
    with pytest.raises(UserError, match=r"b.csv has no column 'text' \(a column of the input or"):
        read("a.csv", CSV, test_file=path)
