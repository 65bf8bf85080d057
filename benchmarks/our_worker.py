"""This project's worker, which trains rows and decodes; its argument is a `Task` as JSON."""

import sys

from benchmarks import ours, turns
from benchmarks.cases import Task


def main() -> None:
    """Takes the first step, then serves `train` (steps of all rows) and `generate`."""
    out = turns.own_stdout()
    task = Task.from_json(sys.argv[1])
    case = task.case
    opened = ours.open_case(case, task.rows)
    shapes = [(case.inputs, case.targets)]
    training = ours.Training(opened, case, shapes, task.rows)
    split = ours.examples(case, 8 * case.batch)
    data = [ours.batches(case, split, shapes, row) for row in range(task.rows)]

    def train(steps: int) -> None:
        ours.train((training, [batches.next() for batches in data]) for _ in range(steps))

    generation = ours.Generation(opened, case)
    prompts = ours.examples(case, task.generated, seed=1)

    def generate(times: int) -> None:
        for _ in range(times):
            if generation.run(prompts) != case.targets:
                raise RuntimeError("every answer ended early: the sides do not do the same work")

    train(1)
    turns.serve(
        out,
        {"train": train, "generate": generate},
        {"card": ours.card()},
        lambda: ours.peak_bytes() or turns.host_peak(),
    )


if __name__ == "__main__":
    main()
