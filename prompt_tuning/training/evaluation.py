"""Evaluation: any number of prompts on any number of tasks, in mixed batches."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np

from prompt_tuning.data import ragged
from prompt_tuning.data.cached_task import CachedSplit, CachedTask
from prompt_tuning.data.evaluation_batches import Encoding, EvalBatch, eval_batches
from prompt_tuning.data.metrics import score
from prompt_tuning.data.shapes import smallest_fit
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.decoding import EOS
from prompt_tuning.models.prompted import Batch, PromptedT5
from prompt_tuning.models.scoring import log_likelihood
from prompt_tuning.training import partitioning
from prompt_tuning.training.decoders import Decoder, Rank
from prompt_tuning.types import Array, Params, UserError

_AHEAD = 2  # batches of each device that are not waited for


class Evaluator:
    """Predicts and scores with prompts of a bank.

    Args:
        model: The prompted model.
        frozen: Its parameters on each layout, by the layout's name.
        layouts: Where forward passes can run; batches are handed to them in turn.
        vocabulary: Turns predicted ids into text.
        decoder: How answers are read off the model.
        batch_size: Examples decoded together.
        shapes: Pairs (T, L) that inputs and targets are padded to.

    Raises:
        UserError: The batch size is not positive, or cannot be cut over a layout's devices.
    """

    def __init__(
        self,
        model: PromptedT5,
        frozen: Mapping[str, Params],
        layouts: Sequence[partitioning.Layout],
        vocabulary: Vocabulary,
        decoder: Decoder,
        *,
        batch_size: int,
        shapes: Sequence[tuple[int, int]],
    ):
        if batch_size < 1:
            raise UserError(f"the batch size of evaluation must be at least 1, not {batch_size}")
        for layout in layouts:
            layout.check_batch(batch_size)
        model = dataclasses.replace(model, positions=partitioning.encoded_positions())
        self._model = model
        self._frozen = frozen
        self._layouts = layouts
        self._vocabulary = vocabulary
        self._decoder = decoder
        self._batch_size = batch_size
        self._shapes = shapes
        length = max(target_length for _, target_length in shapes)
        self._decode = jax.jit(functools.partial(decoder, model, length=length))
        self._likelihood = jax.jit(functools.partial(log_likelihood, model))

    def compile(self, bank: np.ndarray, layout: partitioning.Layout) -> None:
        """Compiles decoding on a layout for every shape, and a bank `[N, P, H]` of this one's."""
        on_layout = layout.put(bank)
        rows, labels = np.arange(self._batch_size), self._label_tokens(())
        for width in sorted({width for width, _ in self._shapes}):
            tokens = np.zeros((self._batch_size, width), np.int32)
            batch = EvalBatch(tokens, rows % len(bank), rows, rows, rows < 0)
            self._decoded(layout, on_layout, batch, labels)

    def predict(
        self,
        bank: np.ndarray,
        items: Sequence[tuple[int, CachedSplit]],
        labels: Sequence[tuple[str, ...]],
    ) -> list[list[str]]:
        """Answers every example of splits, each with one prompt of the bank.

        Examples of different prompts share batches, except where labels are ranked: there those of
        the same labels do.

        Args:
            bank: `[N, P, H]`.
            items: Pairs of a row of `bank` and a split.
            labels: For each item, the labels of its task.

        Returns:
            For each item the text predicted for each example, in order.

        Raises:
            UserError: Labels are to be ranked, and an item has none.
        """
        texts = [[""] * len(split) for _, split in items]
        ranking = isinstance(self._decoder, Rank)
        if ranking and not all(labels):
            raise UserError(
                "@Rank() chooses among labels, and there are none; give labels, or use @Greedy()"
            )
        for group in dict.fromkeys(labels if ranking else [()]):
            members = [i for i in range(len(items)) if not ranking or labels[i] == group]
            decode = functools.partial(self._decoded, labels=self._label_tokens(group))
            for item, example, ids in self._each(bank, [items[i] for i in members], decode):
                texts[members[item]][example] = self._vocabulary.decode(ids)
        return texts

    def likelihoods(
        self, bank: np.ndarray, items: Sequence[tuple[int, CachedSplit]]
    ) -> list[np.ndarray]:
        """Returns for each item log p(target | input) of each example, in order, in nats.

        Args:
            bank: `[N, P, H]`.
            items: Pairs of a row of `bank` and a split.
        """
        lengths = [(length, 0) for length in sorted({length for _, length in self._shapes})]

        def rate(layout, bank, batch):
            targets = _targets(items, batch, lengths)
            rows = (batch.encoder_tokens, targets, batch.prompt_id.astype(np.int32))
            rows = Batch(*layout.put_batch(rows, axis=0))
            return self._likelihood(self._frozen[layout.name], bank, rows)

        values = [np.zeros(len(split)) for _, split in items]
        for item, example, value in self._each(bank, items, rate):
            values[item][example] = value
        return values

    def score(
        self, bank: np.ndarray, items: Sequence[tuple[int, Sequence[CachedTask]]], split: str | None
    ) -> list[dict[str, float]]:
        """Scores prompts of the bank on a split of their tasks.

        Args:
            bank: `[N, P, H]`.
            items: Pairs of a row of `bank` and its tasks (one, or those of a mixture).
            split: `validation` or `test`; None for each task's `scored_split`.

        Returns:
            For each item its metrics and `score`, 0-100: the mean of a task's metrics, and of a
            mixture's tasks. Metrics of a mixture are named `<task>/<metric>`.
        """
        flat = [
            (prompt, task, split or task.scored_split) for prompt, tasks in items for task in tasks
        ]
        open_ended = sorted(
            {task.name for _, task, _ in flat if task.reads_answers and not task.labels}
        )
        if isinstance(self._decoder, Rank) and open_ended:
            raise UserError(
                f"@Rank() chooses among labels, and {', '.join(open_ended)} has none; "
                "use @Greedy() for open answers"
            )
        for _, task, name in flat:
            if not task.split(name).has_fields:
                raise UserError(
                    f"the {name} split of {task.name} keeps tokens alone and cannot be scored; "
                    "use validation or test"
                )
        values = self._values(bank, flat)
        merged, start = [], 0
        for _, tasks in items:
            of_tasks = values[start : start + len(tasks)]
            start += len(tasks)
            metrics = of_tasks[0] if len(tasks) == 1 else _named(tasks, of_tasks)
            merged.append({**metrics, "score": float(np.mean([score(v) for v in of_tasks]))})
        return merged

    def _values(self, bank, flat):
        """Returns the metrics of each prompt on each split, from answers or from likelihoods."""
        items = [(prompt, task.split(name)) for prompt, task, name in flat]
        asked = [i for i, (_, task, _) in enumerate(flat) if task.reads_answers]
        rated = [i for i, (_, task, _) in enumerate(flat) if task.reads_scores]
        texts: dict[int, list[str]] = {}
        scores: dict[int, np.ndarray] = {}
        if asked:
            labels = [flat[i][1].choices for i in asked]
            answers = self.predict(bank, [items[i] for i in asked], labels)
            texts = dict(zip(asked, answers, strict=True))
        if rated:
            likelihoods = self.likelihoods(bank, [items[i] for i in rated])
            scores = dict(zip(rated, likelihoods, strict=True))
        return [
            task.evaluate(name, texts.get(i, [""] * len(items[i][1])), scores.get(i))
            for i, (_, task, name) in enumerate(flat)
        ]

    def _each(
        self,
        bank: np.ndarray,
        items: Sequence[tuple[int, CachedSplit]],
        run: Callable[[partitioning.Layout, Array, EvalBatch], Array],
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yields the item and the number of every example with what `run` gives for it.

        Args:
            bank: `[N, P, H]`.
            items: Pairs of a row of `bank` and a split.
            run: Returns something of each row of a batch, on a layout, given the bank there. It is
                called for a few batches ahead, so that no device waits for the host.
        """
        banks = {layout.name: layout.put(bank) for layout in self._layouts}
        length = bank.shape[1]
        encoding = Encoding(
            length, lambda width: self._model.pass_size(self._batch_size, length + width)
        )
        batches = eval_batches(
            items, batch_size=self._batch_size, shapes=self._shapes, encoding=encoding
        )
        running = collections.deque()
        for i, batch in enumerate(batches):
            layout = self._layouts[i % len(self._layouts)]
            running.append((batch, run(layout, banks[layout.name], batch)))
            if len(running) > _AHEAD * len(self._layouts):
                yield from _of_examples(*running.popleft())
        for batch, output in running:
            yield from _of_examples(batch, output)

    def _decoded(self, layout, bank, batch, labels):
        """Decodes one batch on a layout, without waiting for it."""
        ids = (batch.prompt_id.astype(np.int32), batch.example.astype(np.uint32))
        examples = layout.put_batch((batch.encoder_tokens, *ids), axis=0)
        return self._decode(self._frozen[layout.name], bank, *examples, layout.put(labels))

    def _label_tokens(self, labels: tuple[str, ...]) -> np.ndarray:
        """Returns the tokens of labels with EOS, `[K, L]`, 0 at padding."""
        pieces = [[*self._vocabulary.encode(label), EOS] for label in labels]
        tokens = np.zeros((len(pieces), max(map(len, pieces), default=1)), np.int32)
        for row, ids in zip(tokens, pieces, strict=True):
            row[: len(ids)] = ids
        return tokens


def _of_examples(batch: EvalBatch, output: Array) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields item, number and output of every example of a batch; waits for the output."""
    rows = zip(batch.item, batch.example, np.asarray(output), batch.valid, strict=True)
    for item, example, value, valid in rows:
        if valid:
            yield int(item), int(example), value


def _targets(items, batch: EvalBatch, lengths: Sequence[tuple[int, int]]) -> np.ndarray:
    """Returns the targets of a batch, `[B, L]`, padded to the smallest of `lengths` that fits."""
    rows = [
        items[item][1].targets[example]
        for item, example in zip(batch.item, batch.example, strict=True)
    ]
    longest = np.array([max(map(len, rows))])
    length = lengths[int(smallest_fit(lengths, longest, np.zeros(1))[0])][0]
    return ragged.from_sequences(rows).padded(np.arange(len(rows)), length)


def _named(tasks: Sequence[CachedTask], values: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        f"{task.name}/{name}": value
        for task, metrics in zip(tasks, values, strict=True)
        for name, value in metrics.items()
    }
