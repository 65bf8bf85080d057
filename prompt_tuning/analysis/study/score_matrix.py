"""Reads a CSV matrix of zero-shot scores: each source's prompt, unchanged, on each target."""

import csv
import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompt_tuning.analysis.study.scores import Candidate, TransferScores
from prompt_tuning.types import UserError, nearest


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """The scores of T targets from S source prompts.

    Attributes:
        targets: Target tasks; each is a source too.
        sources: Source tasks.
        scores: `[T, S]`, 0-100; NaN where there is none.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    scores: np.ndarray

    def restricted(self, targets: Sequence[str]) -> "ScoreMatrix":
        """Returns the matrix restricted to some targets.

        Raises:
            UserError: A target is unknown or given twice.
        """
        for target in targets:
            if targets.count(target) > 1:
                raise UserError(f"the target '{target}' is given twice; give each once")
            if target not in self.targets:
                raise UserError(
                    f"the matrix has no target '{target}'{nearest(target, self.targets)}; it has "
                    f"{', '.join(self.targets)}"
                )
        chosen = [self.targets.index(target) for target in targets]
        return ScoreMatrix(tuple(targets), self.sources, self.scores[chosen])

    def transfer(self) -> TransferScores:
        """Returns the matrix as the scores of a study with one seed.

        A target's own prompt is its baseline. The matrix has no validation scores, so test scores
        stand in for them.
        """
        own = [self.sources.index(target) for target in self.targets]
        scores = self.scores[:, None, :]
        return TransferScores(
            targets=self.targets,
            seeds=(0,),
            candidates=tuple(Candidate(source, 0) for source in self.sources),
            baseline=self.scores[np.arange(len(own)), own][:, None],
            scores=scores,
            validation=scores,
        )


def read_matrix(path: str | os.PathLike) -> ScoreMatrix:
    r"""Reads a matrix: a header `target\source` with the sources, then a line for each target.

    Scores are 0 to 1, or 0 to 100 if one of them is above 1; an empty cell is a missing score.

    Raises:
        UserError: The file cannot be read or is malformed, or a target's own prompt is missing or
            scores 0, so that no score can be relative to it.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if any(map(str.strip, line))]
    except OSError as error:
        raise UserError(
            f"matrix {path}: cannot read it ({error.strerror}); give the path of a CSV file"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"matrix {path}: not a CSV file in UTF-8 ({error})") from error
    if len(lines) < 2 or len(lines[0]) < 3:
        raise _malformed(
            path,
            "it needs a header of two or more sources and a line for each target, with commas",
        )
    sources = tuple(name.strip() for name in lines[0][1:])
    targets = tuple(line[0].strip() for line in lines[1:])
    for kind, names in (("source", sources), ("target", targets)):
        again = next((name for name in names if not name or names.count(name) > 1), None)
        if again is not None:
            raise _malformed(path, f"{kind} {again!r} appears twice, or is empty")
    scores = np.array([_scores(path, line, len(sources)) for line in lines[1:]])
    highest = np.nanmax(scores, initial=0.0)
    if highest > 100.0 or np.nanmin(scores, initial=0.0) < -100.0:
        raise _malformed(path, "scores go from 0 to 1, or to 100")
    _check_own(path, ScoreMatrix(targets, sources, scores))
    return ScoreMatrix(targets, sources, scores if highest > 1.0 else 100.0 * scores)


def _scores(path: Path, line: Sequence[str], count: int) -> list[float]:
    if len(line) != count + 1:
        raise _malformed(path, f"target {line[0]!r} has {len(line) - 1} scores, not {count}")
    scores = []
    for cell in line[1:]:
        try:
            scores.append(float(cell) if cell.strip() else math.nan)
        except ValueError:
            raise _malformed(
                path, f"target {line[0]!r} has the score {cell!r}, which is not a number"
            ) from None
    if np.isinf(scores).any():
        raise _malformed(path, f"target {line[0]!r} has a score that is not finite")
    return scores


def _check_own(path: Path, matrix: ScoreMatrix) -> None:
    for target, scores in zip(matrix.targets, matrix.scores, strict=True):
        if target not in matrix.sources:
            near = nearest(target, matrix.sources)
            raise _malformed(path, f"target {target!r} is not among the sources{near}")
        own = scores[matrix.sources.index(target)]
        if not own > 0:
            raise _malformed(path, f"the prompt of target {target!r} itself has no score above 0")


def _malformed(path: Path, what: str) -> UserError:
    return UserError(f"matrix {path}: {what}; see prompt-tuning library compare --help")
