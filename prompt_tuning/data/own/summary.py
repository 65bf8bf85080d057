"""What a file holds, for a console: how it was read, its labels, and its lengths."""

import shlex
from collections import Counter

import numpy as np
import rich.box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prompt_tuning.data.metrics import metric_label, score
from prompt_tuning.data.own.checks import warnings
from prompt_tuning.data.own.task_file import Setting
from prompt_tuning.data.own.tokens import TokenizedFile

QUANTILES = (0.5, 0.9, 0.99, 1.0)
_MOST_LABELS = 12
_MOST_LETTERS = 160


def summary(file: TokenizedFile) -> Group:
    """Returns what a file holds, for a console."""
    text = file.text
    rows = sum(map(len, text.splits.values()))
    counts = ", ".join(f"{len(examples):,} {split}" for split, examples in text.splits.items())
    first = text.splits["train"][0]
    parts: list[RenderableType] = [
        Text(f"Task '{text.name}' from {text.path}: {rows:,} examples ({counts})")
    ]
    guessed = [setting for setting in text.settings if setting.guessed]
    if guessed:
        parts.append(Text("guessed from the file; to fix or change it:"))
        parts += [Text(f"  {flag(setting)}") for setting in guessed]
    parts.append(Text(f"the first example (line {first.line}): {_shown(first.inputs)}"))
    parts.append(Text(f"  is answered: {_shown(first.targets)}"))
    if text.labels:
        parts += [Text(), _labels(file)]
    parts += [Text(), _lengths(file), Text()]
    baseline = majority(file)
    if baseline is not None:
        parts.append(Text(baseline))
    parts += [Text(f"note: {note}") for note in text.notes]
    parts += [Text(f"warning: {warning}", style="yellow") for warning in warnings(file)]
    return Group(*parts)


def flag(setting: Setting) -> str:
    """Returns the flag that fixes a setting, quoted for a shell."""
    value = repr(setting.value)
    if any(letter in value for letter in '"$`\\!'):
        return shlex.quote(f"--gin.TaskFile.{setting.name}={value}")
    return f'--gin.TaskFile.{setting.name}="{value}"'


def majority(file: TokenizedFile) -> str | None:
    """Returns what the most frequent training label would score alone; None without labels."""
    task, text = file.task, file.text
    if not text.labels:
        return None
    label, _ = Counter(e.targets for e in text.splits["train"]).most_common(1)[0]
    split = task.split(task.scored_split)
    metrics = task.metrics(split.target_texts, [label] * len(split), split.fields)
    return (
        f"always answering '{label}' would score {score(metrics):.1f} on {task.scored_split} "
        f"({metric_label(metrics)})"
    )


def _labels(file: TokenizedFile) -> Table:
    """Returns how often each label occurs; of many labels, the most and the least frequent."""
    text = file.text
    counts = {split: Counter(e.targets for e in of) for split, of in text.splits.items()}
    table = _table("label", *counts, "share of train")
    ordered = sorted(text.labels, key=lambda label: -counts["train"][label])
    shown: list[str | None] = [*ordered]
    if len(ordered) > _MOST_LABELS:
        half = _MOST_LABELS // 2
        shown = [*ordered[:half], None, *ordered[-half:]]
    for label in shown:
        if label is None:
            table.add_row(f"... {len(ordered) - _MOST_LABELS:,} more")
            continue
        share = counts["train"][label] / len(text.splits["train"])
        cells = [f"{of_split[label]:,}" for of_split in counts.values()]
        table.add_row(Text(label), *cells, f"{100 * share:.1f} %")
    return table


def _lengths(file: TokenizedFile) -> Table:
    names = ["max" if q == 1.0 else f"{100 * q:.0f} %" for q in QUANTILES]
    table = _table("tokens", *names, "kept", "cut")
    for split, features in file.lengths.items():
        for feature, lengths in features.items():
            values = np.quantile(lengths.tokens, QUANTILES, method="inverted_cdf")
            share = f" ({100 * lengths.cut / len(lengths.tokens):.1f} %)" if lengths.cut else ""
            kept = file.task.lengths[feature]
            cells = [f"{value:,}" for value in values]
            table.add_row(f"{split} {feature}", *cells, f"{kept:,}", f"{lengths.cut:,}{share}")
    return table


def _table(*names: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(names[0], overflow="fold")
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."
