"""What may be wrong with the examples of a file, though it can be used as it is."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from prompt_tuning.data.own.tokens import TokenizedFile

_IMBALANCED = 0.8  # share of one label


def warnings(file: TokenizedFile) -> list[str]:
    """Returns what may be wrong with the examples, one sentence each."""
    return [*_label_warnings(file), *_repeated(file), *_token_warnings(file)]


def _label_warnings(file: TokenizedFile) -> list[str]:
    text = file.text
    if not text.labels:
        return []
    found = []
    train = Counter(e.targets for e in text.splits["train"])
    for split, examples in text.splits.items():
        unseen = Counter(e.targets for e in examples if e.targets not in train)
        if unseen:
            found.append(
                f"{unseen.total():,} {split} examples have labels that training never shows: "
                f"{_listed(unseen)}"
            )
    label, most = train.most_common(1)[0]
    share = most / train.total()
    if share >= _IMBALANCED and any("accuracy" in metric["fn"] for metric in text.metrics):
        found.append(
            f"{100 * share:.1f} % of train is '{label}', so that accuracy says little of the other "
            "labels: see --gin.TaskFile.metrics=\"'macro_f1'\""
        )
    once = [label for label, count in train.items() if count == 1]
    if once:
        found.append(f"labels with a single training example: {_listed(once)}")
    same: dict[str, list[str]] = defaultdict(list)
    for label in text.labels:
        same[label.casefold()].append(label)
    for labels in same.values():
        if len(labels) > 1:
            found.append(
                f"labels that differ by capitals alone: {_listed(labels)}; one word for them in "
                "TaskFile.label_words makes them one label"
            )
    if all(label.lstrip("-").isdigit() for label in text.labels):
        found.append(
            "the label words are numbers; words that say what they mean are learned faster: "
            f"--gin.TaskFile.label_words=\"{{{text.labels[0]!r}: 'WORD', ...}}\""
        )
    return found


def _repeated(file: TokenizedFile) -> list[str]:
    text = file.text
    found = []
    trained = {example.inputs for example in text.splits["train"]}
    for split, examples in text.splits.items():
        leaked = [e for e in examples if split != "train" and e.inputs in trained]
        if leaked:
            found.append(
                f"{len(leaked):,} {split} inputs are also in train (the first on line "
                f"{leaked[0].line}); scores on {split} will be too high"
            )
    answers: dict[str, set[str]] = defaultdict(set)
    for examples in text.splits.values():
        for example in examples:
            answers[example.inputs].add(example.targets)
    several = sum(len(different) > 1 for different in answers.values())
    if several and text.kind != "text":
        found.append(f"{several:,} inputs stand in the file with different answers")
    return found


def _token_warnings(file: TokenizedFile) -> list[str]:
    found = []
    for feature, consequence in (
        ("inputs", "all of these look the same to it"),
        ("targets", "no answer can equal such a text"),
    ):
        of_feature = [features[feature] for features in file.lengths.values()]
        total = sum(len(lengths.tokens) for lengths in of_feature)
        unknown = sum(lengths.unknown for lengths in of_feature)
        if unknown:
            characters = sorted(set().union(*(lengths.characters for lengths in of_feature)))
            found.append(
                f"{unknown:,} of {total:,} {feature} have characters that the model's vocabulary "
                f"lacks: {_listed(characters)}; {consequence}"
            )
        cut = sum(lengths.cut for lengths in of_feature)
        if cut:
            longest = max(int(lengths.tokens.max()) for lengths in of_feature)
            found.append(
                f"{cut:,} of {total:,} {feature} are cut to {file.task.lengths[feature]} tokens; "
                f'TASK_FEATURE_LENGTHS["{feature}"] = {longest} would keep them whole'
            )
    return found


def _listed(names: Sequence[str] | Counter[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return ", ".join(quoted if len(quoted) <= 6 else [*quoted[:5], f"{len(quoted) - 5} more"])
