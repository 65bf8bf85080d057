"""`prompt-tuning library compare`: from prompt files and a matrix to rankings, without a model."""

import csv
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.analysis.study import score_matrix
from prompt_tuning.analysis.study.correlation import SOURCES, SPEARMAN, target_correlations
from prompt_tuning.analysis.study.retrieval import BASELINE, ORACLE, RANDOM_K, TOP_K
from prompt_tuning.analysis.study.retrieval_table import retrieval_lines
from prompt_tuning.cli import library_compare
from prompt_tuning.cli.main import main
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library

TASKS = ("alpha", "beta", "gamma", "delta")


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Prompts of four tasks at known angles, and a matrix of scores that follows the angles."""
    rng = np.random.default_rng(0)
    angles = np.array([0.0, 0.3, 1.0, 1.4])
    for name, angle in zip(TASKS, angles, strict=True):
        direction = np.array([np.cos(angle), np.sin(angle), *np.zeros(6)])
        np.save(tmp_path / f"{name}.npy", np.float32(direction + rng.normal(0, 0.01, (5, 8))))
    scores = 0.5 + 0.4 * np.cos(angles[:, None] - angles)
    lines = [",".join([name, *map(str, row)]) for name, row in zip(TASKS, scores, strict=True)]
    (tmp_path / "m.csv").write_text("\n".join([",".join(["t", *TASKS]), *lines]) + "\n")
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path)
    return [f"{name}.npy" for name in TASKS]


def _compare(*words: str) -> int:
    return main(["library", "compare", *words])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_planted_prompts_are_ranked_by_one_command(planted, capsys):
    assert _compare("lib", ".", "--matrix=m.csv", "--report=out", "--k=1,2") == 0
    assert "<html" in Path("out/index.html").read_text(encoding="utf-8")
    ranking = {row["target"]: row for row in _rows(Path("out/ranking.csv"))}
    for similarity in ("mean_token", "per_token"):
        first = [ranking[task][f"first by {similarity}"] for task in TASKS]
        assert first == ["beta", "alpha", "delta", "gamma"]
    correlations = _rows(Path("out/correlation.csv"))
    assert all(float(row["rho"]) == pytest.approx(1.0) for row in correlations)
    assert "Ranking of sources" in capsys.readouterr().out
    assert _compare("lib", "--matrix=m.csv", "--targets=alpha") == 0  # The prompts are there now.
    assert "beta" in capsys.readouterr().out


def test_published_prompts_give_the_figures_of_an_independent_calculation(shared_data, tmp_path):
    folder = shared_data / "published_prompts/thunlp_t5_small"
    library = Library.create(tmp_path / "lib")
    for path in sorted(folder.glob("*.npy")):
        library.add([files.Prompt(files.load(path).array, {"name": path.stem})])
    matrix = score_matrix.read_matrix(folder / "zero_shot_matrix.csv")
    study = library_compare.build_study(library, matrix, (1,), "zero_shot_matrix.csv")
    found = {
        (line.method.method, line.method.similarity): line.measured
        for line in retrieval_lines(study)
    }
    figures = {
        (TOP_K, "mean_token"): 73.9,
        (TOP_K, "per_token"): 66.8,
        (ORACLE, None): 80.0,
        (RANDOM_K, None): 53.0,
        (BASELINE, None): 100.0,
    }
    assert found.keys() == figures.keys()
    for key, figure in figures.items():
        spread = found[key]
        assert spread and spread.mean == pytest.approx(figure, abs=0.05)
    # Of a sentence BLEU only the ranks count: similarity orders the sources of those rows too.
    ranks = target_correlations(
        study, similarity="mean_token", method=SPEARMAN, level=SOURCES, same_task=False
    )
    of_text = [each.value for each in ranks[13:] if each]
    assert len(of_text) == 4 and min(of_text) > 0.4


def test_several_prompts_of_a_task_count_with_their_mean_similarity(planted):
    other = -files.load("alpha.npy").array
    library = Library.create("lib")
    for path in planted:
        library.add([files.Prompt(files.load(path).array, {"name": Path(path).stem})])
    library.add([files.Prompt(other, {"name": "alpha again", "task": "alpha"})])
    library.add([files.Prompt(other, {"name": "of another task"})])
    study = library_compare.build_study(library, score_matrix.read_matrix("m.csv"), (1,), "m.csv")
    alike = study.task_similarities["mean_token"]
    np.testing.assert_allclose(alike[0], np.zeros(4), atol=1e-6)
    np.testing.assert_allclose(alike, alike.T, atol=1e-6)
    assert study.facts["prompts"] == "5 of 4 tasks"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lib"], "the following arguments are required: --matrix"),
        (["lib", "--matrix=no.csv"], "matrix no.csv: cannot read it (No such file or directory)"),
        (["lib", "--matrix=m.csv"], "there is no library"),
        (["lib", "none", "--matrix=m.csv"], "none: there is no prompt; give prompt files"),
        (["lib", "alpha.npy", "--matrix=m.csv"], "lib has no prompt of 'beta', a task of the"),
        (["lib", "--matrix=m.csv", "--k=4"], "--k: '4' is not one or more whole numbers from 1 to"),
        (["lib", "--matrix=m.csv", "--k=1,x"], "--k: '1,x' is not one or more whole numbers"),
        (["lib", "--matrix=m.csv", "--targets=alpa"], "no target 'alpa' (did you mean alpha"),
        (["lib", "--matrix=m.csv", "--targets=beta,beta"], "the target 'beta' is given twice"),
        (["lib", "--matrix=m.csv", "--rapport=x"], "unknown argument '--rapport' (did you mean"),
    ],
)
def test_bad_input_is_told_in_one_line_and_leaves_no_report(planted, capsys, words, message):
    assert _compare(*words, *(["--report=out"] if len(words) > 1 else [])) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not Path("out").exists()


def test_a_report_that_cannot_be_written_is_told_in_one_line(planted, capsys):
    Path("file").write_text("mine")
    assert _compare("lib", *planted, "--matrix=m.csv", "--report=file/report") == 2
    err = capsys.readouterr().err
    assert "report file/report: cannot write it (Not a directory); give another" in err
    assert err.count("\n") == 1 and Path("file").read_text() == "mine"


def test_paths_in_flags_may_be_below_the_home_directory(planted, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    Path("home").mkdir()
    Path("m.csv").rename("home/m.csv")
    assert _compare("lib", *planted, "--matrix=~/m.csv", "--report=~/report") == 0
    assert Path("home/report/index.html").exists() and not Path("~").exists()
    assert f"the report is {Path('home/report/index.html').absolute()}\n" in capsys.readouterr().out


def test_prompts_of_another_width_are_refused(planted, capsys):
    np.save("delta.npy", np.ones((5, 9), np.float32))
    assert _compare("lib", *planted, "--matrix=m.csv") == 2
    assert "they cannot be compared" in capsys.readouterr().err


def test_help_has_examples(capsys):
    assert _compare("--help") == 0
    out = capsys.readouterr().out
    assert "prompt-tuning library compare prompts --matrix=zero_shot.csv" in out
