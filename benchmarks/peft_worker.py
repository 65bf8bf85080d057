"""The peer's worker: PEFT's prompt tuning of a T5, in an environment that has PEFT.

From this project it imports only the clock (`turns`, plain Python). Its argument is JSON: the sizes
of a T5 1.1 (`emb_dim`, `mlp_dim`, ...), the fields of `Case`, `generated` examples to answer
`answered_together` at a time, and `batches_file` with padded batches to train on (null for random
ones).
"""

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch  # pyright: ignore[reportMissingImports]
from peft import PromptTuningConfig, get_peft_model  # pyright: ignore[reportMissingImports]
from transformers import (  # pyright: ignore[reportMissingImports]
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.optimization import Adafactor  # pyright: ignore[reportMissingImports]

from benchmarks import turns


def main() -> None:
    """Takes the first step, then serves `train` and `generate`."""
    out = turns.own_stdout()
    settings = json.loads(sys.argv[1])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = make_model(settings).to(device)
    batches = make_batches(settings, device)
    step = make_step(model)
    ids, _ = random_examples(settings, settings["generated"], device)
    done = 0

    def train(steps: int) -> None:
        nonlocal done
        model.train()
        for _ in range(steps):
            step(*batches[done % len(batches)])
            done += 1
        wait(device)

    def generate(times: int) -> None:
        model.eval()
        together = settings["answered_together"]
        for _ in range(times):
            for start in range(0, len(ids), together):
                answer(model, ids[start : start + together], settings["targets"])
        wait(device)

    train(1)
    done = 0
    names = ("torch", "transformers", "peft")
    facts = {
        "card": torch.cuda.get_device_name() if device.type == "cuda" else None,
        "versions": {name: importlib.metadata.version(name) for name in names},
    }
    peak = torch.cuda.max_memory_allocated if device.type == "cuda" else turns.host_peak
    turns.serve(out, {"train": train, "generate": generate}, facts, peak)


def make_model(settings: dict[str, Any]) -> Any:
    """Returns a T5 with random weights and a soft prompt before the encoder's input."""
    config = T5Config(
        vocab_size=settings["vocab_size"],
        d_model=settings["emb_dim"],
        d_kv=settings["head_dim"],
        d_ff=settings["mlp_dim"],
        num_layers=settings["num_encoder_layers"],
        num_decoder_layers=settings["num_decoder_layers"],
        num_heads=settings["num_heads"],
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=settings["dropout"],
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config).to(getattr(torch, settings["dtype"]))
    prompts = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=settings["prompt"],
        num_transformer_submodules=1,
    )
    return get_peft_model(model, prompts)


def make_step(model: Any) -> Callable[[Any, Any], None]:
    """Returns a function that does one update on inputs and targets."""
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = Adafactor(
        trained,
        lr=0.3,
        weight_decay=1e-5,
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
    )

    def step(inputs: Any, targets: Any) -> None:
        labels = targets.masked_fill(targets == 0, -100)
        found = model(input_ids=inputs, attention_mask=(inputs > 0).long(), labels=labels)
        found.loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def answer(model: Any, inputs: Any, length: int) -> None:
    """Decodes greedily exactly `length` tokens for every example."""
    with torch.no_grad():
        model.generate(
            input_ids=inputs,
            attention_mask=(inputs > 0).long(),
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=False,
            num_beams=1,
        )


def make_batches(settings: dict[str, Any], device: Any) -> list[tuple[Any, Any]]:
    """Returns the batches to train on: pairs of input and target ids."""
    if settings["batches_file"] is None:
        return [random_examples(settings, settings["batch"], device) for _ in range(8)]
    read = json.loads(Path(settings["batches_file"]).read_text(encoding="utf-8"))
    return [
        (torch.tensor(inputs, device=device), torch.tensor(targets, device=device))
        for inputs, targets in read
    ]


def random_examples(settings: dict[str, Any], count: int, device: Any) -> tuple[Any, Any]:
    """Returns random inputs `[count, T]` and targets `[count, L]`, without padding."""
    top = settings["vocab_size"]
    inputs = torch.randint(3, top, (count, settings["inputs"]), device=device)
    return inputs, torch.randint(3, top, (count, settings["targets"]), device=device)


def wait(device: Any) -> None:
    """Waits until the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
