"""Summarizes a task of a file for the console: settings, labels, lengths, warnings."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import rich.box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prompt_tuning.data.metrics import metric_label, score
from prompt_tuning.data.user_task.reading import Setting
from prompt_tuning.data.user_task.tokens import TokenizedFile

QUANTILES = (0.5, 0.9, 0.99, 1.0)
_MOST_LABELS = 12
_MOST_CHARACTERS = 160
_IMBALANCED = 0.8  # share of the most frequent label from which to warn


def summarize(file: TokenizedFile) -> Group:
    """Returns a summary of a task for a Rich console."""
    text = file.text
    total = sum(map(len, text.splits.values()))
    counts = ", ".join(f"{len(examples):,} {split}" for split, examples in text.splits.items())
    first = text.splits["train"][0]
    parts: list[RenderableType] = [
        Text(f"Task '{text.name}' from {text.path}: {total:,} examples ({counts})")
    ]
    guessed = [setting for setting in text.settings if setting.guessed]
    if guessed:
        parts.append(Text("guessed from the file; to fix or change it:"))
        parts += [Text(f"  {flag(setting)}") for setting in guessed]
    parts.append(Text(f"the first example (line {first.line}): {_shortened(first.inputs)}"))
    parts.append(Text(f"  is answered: {_shortened(first.targets)}"))
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
    """Returns the command-line flag for a setting, quoted for a shell."""
    value = repr(setting.value)
    if any(letter in value for letter in '"$`\\!'):
        return shlex.quote(f"--gin.TaskFile.{setting.name}={value}")
    return f'--gin.TaskFile.{setting.name}="{value}"'


def majority(file: TokenizedFile) -> str | None:
    """Returns the score of always giving the most frequent training label; None without labels."""
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


def warnings(file: TokenizedFile) -> list[str]:
    """Returns warnings about the examples, one sentence each."""
    return [*_label_warnings(file), *_repeated(file), *_token_warnings(file)]


def _labels(file: TokenizedFile) -> Table:
    """Counts each label by split; of many labels, shows the most and the least frequent."""
    text = file.text
    counts = {split: Counter(e.targets for e in of) for split, of in text.splits.items()}
    table = _table("label", *counts, "share of train")
    ordered = sorted(text.labels, key=lambda label: -counts["train"][label])
    displayed: list[str | None] = [*ordered]
    if len(ordered) > _MOST_LABELS:
        half = _MOST_LABELS // 2
        displayed = [*ordered[:half], None, *ordered[-half:]]
    for label in displayed:
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


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def _label_warnings(file: TokenizedFile) -> list[str]:
    text = file.text
    if not text.labels:
        return []
    messages = []
    train = Counter(e.targets for e in text.splits["train"])
    for split, examples in text.splits.items():
        unseen = Counter(e.targets for e in examples if e.targets not in train)
        if unseen:
            messages.append(
                f"{unseen.total():,} {split} examples have labels that training never shows: "
                f"{_listed(unseen)}"
            )
    label, most = train.most_common(1)[0]
    share = most / train.total()
    if share >= _IMBALANCED and any("accuracy" in metric["fn"] for metric in text.metrics):
        messages.append(
            f"{100 * share:.1f} % of train is '{label}', so that accuracy says little of the other "
            "labels: see --gin.TaskFile.metrics=\"'macro_f1'\""
        )
    once = [label for label, count in train.items() if count == 1]
    if once:
        messages.append(f"labels with a single training example: {_listed(once)}")
    same: dict[str, list[str]] = defaultdict(list)
    for label in text.labels:
        same[label.casefold()].append(label)
    for labels in same.values():
        if len(labels) > 1:
            messages.append(
                f"labels that differ by capitals alone: {_listed(labels)}; one word for them in "
                "TaskFile.label_words makes them one label"
            )
    if all(label.lstrip("-").isdigit() for label in text.labels):
        messages.append(
            "the label words are numbers; words that say what they mean are learned faster: "
            f"--gin.TaskFile.label_words=\"{{{text.labels[0]!r}: 'WORD', ...}}\""
        )
    return messages


def _repeated(file: TokenizedFile) -> list[str]:
    text = file.text
    messages = []
    trained = {example.inputs for example in text.splits["train"]}
    for split, examples in text.splits.items():
        leaked = [e for e in examples if split != "train" and e.inputs in trained]
        if leaked:
            messages.append(
                f"{len(leaked):,} {split} inputs are also in train (the first on line "
                f"{leaked[0].line}); scores on {split} will be too high"
            )
    answers: dict[str, set[str]] = defaultdict(set)
    for examples in text.splits.values():
        for example in examples:
            answers[example.inputs].add(example.targets)
    several = sum(len(different) > 1 for different in answers.values())
    if several and text.kind != "text":
        messages.append(f"{several:,} inputs stand in the file with different answers")
    return messages


def _token_warnings(file: TokenizedFile) -> list[str]:
    messages = []
    for feature, consequence in (
        ("inputs", "all of these look the same to it"),
        ("targets", "no answer can equal such a text"),
    ):
        of_feature = [features[feature] for features in file.lengths.values()]
        total = sum(len(lengths.tokens) for lengths in of_feature)
        unknown = sum(lengths.unknown for lengths in of_feature)
        if unknown:
            characters = sorted(set().union(*(lengths.characters for lengths in of_feature)))
            messages.append(
                f"{unknown:,} of {total:,} {feature} have characters that the model's vocabulary "
                f"lacks: {_listed(characters)}; {consequence}"
            )
        cut = sum(lengths.cut for lengths in of_feature)
        if cut:
            longest = max(int(lengths.tokens.max()) for lengths in of_feature)
            messages.append(
                f"{cut:,} of {total:,} {feature} are cut to {file.task.lengths[feature]} tokens; "
                f'TASK_FEATURE_LENGTHS["{feature}"] = {longest} would keep them whole'
            )
    return messages


def _listed(names: Sequence[str] | Counter[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return ", ".join(quoted if len(quoted) <= 6 else [*quoted[:5], f"{len(quoted) - 5} more"])
