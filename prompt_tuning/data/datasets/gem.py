"""GEM (Gehrmann et al. 2021) in the text-to-text format of SPoT's code.

The inputs begin with the dataset's name; of simplification and summarization the instruction
follows. Items of a list are joined by `&&`: SPoT's code has `\\\\n` there, whose backslashes T5's
vocabulary does not know. SPoT's code keeps the dialogue acts to itself; here they are written as
`inform(restaurant_name = Sino)`. On validation and test an example has all its references.
"""

from collections.abc import Callable, Iterator, Mapping

from prompt_tuning.data import postprocessors, text_metrics
from prompt_tuning.data.datasets.dataset import BadRowError, Dataset, Example, Mixture, Row

_ACTS = (
    "affirm",
    "affirm_intent",
    "confirm",
    "goodbye",
    "inform",
    "inform_count",
    "inform_intent",
    "negate",
    "negate_intent",
    "notify_failure",
    "notify_success",
    "offer",
    "offer_intent",
    "request",
    "request_alts",
    "req_more",
    "select",
    "thank_you",
)


def _common_gen(row: Row) -> Iterator[Example]:
    yield _example(row, _joined(row["concepts"]))


def _dart(row: Row) -> Iterator[Example]:
    yield _example(row, _joined(row["tripleset"]))


def _e2e_nlg(row: Row) -> Iterator[Example]:
    yield _example(row, row["meaning_representation"])


def _schema_guided_dialog(row: Row) -> Iterator[Example]:
    acts = row["dialog_acts"]
    said = [
        _act(act, slot, values)
        for act, slot, values in zip(acts["act"], acts["slot"], acts["values"], strict=True)
    ]
    yield _example(row, f"service: {row['service']} prompt: {row['prompt']} acts: {_joined(said)}")


def _web_nlg_en(row: Row) -> Iterator[Example]:
    yield _example(row, _joined(row["input"]))


def _source(row: Row) -> Iterator[Example]:
    yield _example(row, row["source"])


def _xsum(row: Row) -> Iterator[Example]:
    yield _example(row, row["document"])


def _example(row: Row, inputs: str) -> Example:
    # Training rows have one target and an empty list of references.
    references = row.get("references") or [row["target"]]
    return {"inputs": inputs, "targets": row["target"], "answers": list(references)}


def _joined(items: list[str]) -> str:
    return " && ".join(items)


def _act(act: int, slot: str, values: list[str]) -> str:
    if not 0 <= act < len(_ACTS):
        raise BadRowError(f"act is {act!r}; it must be 0 to {len(_ACTS) - 1}")
    inside = f"{slot} = {', '.join(values)}" if values else slot
    return f"{_ACTS[act]}({inside})" if inside else _ACTS[act]


def _gem(
    name: str,
    write: Callable[[Row], Iterator[Example]],
    *,
    fields: tuple[str, ...],
    sizes: Mapping[str, int],
    instruction: str = "",
    test: tuple[str, ...] = ("test",),
) -> Dataset:
    splits = {"train": ("train",), "validation": ("validation",)}
    return Dataset(
        name=f"gem_{name}",
        family="GEM",
        papers=("SPoT",),
        tfds=f"gem/{name}:1.1.0",
        splits=splits | ({"test": test} if test else {}),
        sizes=sizes,
        fields=fields,
        format=write,
        prefix=f"{name} {instruction}".strip(),
        postprocess=postprocessors.answers,
        metrics=(text_metrics.bleu, text_metrics.rouge),
    )


DATASETS = (
    _gem(
        "common_gen",
        _common_gen,
        fields=("concepts", "target"),
        sizes={"train": 67389, "validation": 993},
        test=(),  # its references are held back
    ),
    _gem(
        "dart",
        _dart,
        fields=("tripleset", "target"),
        sizes={"train": 62659, "validation": 2768, "test": 5097},
    ),
    _gem(
        "e2e_nlg",
        _e2e_nlg,
        fields=("meaning_representation", "target"),
        sizes={"train": 33525, "validation": 4299, "test": 4693},
    ),
    _gem(
        "schema_guided_dialog",
        _schema_guided_dialog,
        fields=("service", "prompt", "dialog_acts", "target"),
        sizes={"train": 164982, "validation": 10000, "test": 10000},
    ),
    _gem(
        "web_nlg_en",
        _web_nlg_en,
        fields=("input", "target"),
        sizes={"train": 35426, "validation": 1667, "test": 1779},
    ),
    _gem(
        "wiki_auto_asset_turk",
        _source,
        fields=("source", "target"),
        sizes={"train": 483801, "validation": 20000, "test": 718},
        instruction="simplify:",
        test=("test_asset", "test_turk"),
    ),
    _gem(
        "xsum",
        _xsum,
        fields=("document", "target"),
        sizes={"train": 23206, "validation": 1117, "test": 1166},
        instruction="summarize:",
    ),
    _gem(
        "wiki_lingua_english_en",
        _source,
        fields=("source", "target"),
        sizes={"train": 99020, "validation": 13823, "test": 28614},
        instruction="summarize:",
    ),
)

MIXTURES = (
    Mixture(name="gem", papers=("SPoT",), members=tuple(dataset.name for dataset in DATASETS)),
)
