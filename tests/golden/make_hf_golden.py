"""Makes the golden files that hold what transformers' T5 computes, in hf_<case>/.

Each has the directory that transformers writes (`config.json`, `model.safetensors`) and
`outputs.npz`. transformers is no dependency of this project; in an environment of its own:

    pip install torch "transformers==4.57.*" safetensors sentencepiece
    python tests/golden/make_hf_golden.py

The models are random, with a prompt in front of the embedded inputs for half of the outputs.
`hf_shapes.json` has the shapes of every published size, by transformers' names; those of the first
layer stand for all.

With a directory as argument it writes the outputs of the model in that directory to
`<directory>/outputs.npz` instead, to compare a model of any size.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import transformers  # pyright: ignore[reportMissingImports]

HERE = Path(__file__).parent
CASES = {
    "t5_1_0": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "t5_1_1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "gated_tied": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": True},
    "relu_untied": {"feed_forward_proj": "relu", "tie_word_embeddings": False},
}
SIZES = {
    "vocab_size": 48,
    "d_model": 16,
    "num_heads": 2,
    "d_kv": 6,
    "d_ff": 20,
    "num_layers": 2,
    "num_decoder_layers": 1,
}
# d_model, d_ff, heads, d_kv and layers of the configs on the Hugging Face hub.
PUBLISHED = {
    "t5_1_0_small": (512, 2048, 8, 64, 6),
    "t5_1_0_base": (768, 3072, 12, 64, 12),
    "t5_1_0_large": (1024, 4096, 16, 64, 24),
    "t5_1_0_3b": (1024, 16384, 32, 128, 24),
    "t5_1_0_11b": (1024, 65536, 128, 128, 24),
    "t5_1_1_small": (512, 1024, 6, 64, 8),
    "t5_1_1_base": (768, 2048, 12, 64, 12),
    "t5_1_1_large": (1024, 2816, 16, 64, 24),
    "t5_1_1_xl": (2048, 5120, 32, 64, 24),
    "t5_1_1_xxl": (4096, 10240, 64, 64, 24),
}
PUBLISHED |= {name.replace("t5_1_1", "mt5"): PUBLISHED[name] for name in list(PUBLISHED)[5:]}
LENGTH = 6  # tokens decoded


def random_model(settings: dict, seed: int) -> transformers.T5ForConditionalGeneration:
    """Returns a model with weights large enough for its answers to differ."""
    torch.manual_seed(seed)
    config = transformers.T5Config(**settings, decoder_start_token_id=0)
    model = transformers.T5ForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_norm" in name:
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif parameter.shape[0] == config.vocab_size or "relative" in name:
                parameter.copy_(torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * 3 * parameter.shape[1] ** -0.5)
    return model


@torch.no_grad()
def outputs(model: transformers.T5ForConditionalGeneration) -> dict[str, Any]:
    """Returns inputs, and logits and greedy answers with and without a prompt."""
    model = model.eval()
    rng = np.random.default_rng(0)
    rows = model.config.vocab_size
    tokens = rng.integers(2, rows, (4, 9))
    tokens[1, 5:] = tokens[3, 2:] = 0
    targets = rng.integers(2, rows, (4, 5))
    prompt = rng.normal(size=(3, model.config.d_model)).astype(np.float32)
    ids, shifted = torch.tensor(tokens), torch.tensor(np.pad(targets, ((0, 0), (1, 0)))[:, :-1])
    embedded = model.get_input_embeddings()(ids)
    prompted = torch.cat([torch.tensor(prompt).expand(4, -1, -1), embedded], 1)
    mask = (ids > 0).long()
    found = {"tokens": tokens, "targets": targets, "prompt": prompt}
    for kind, inputs, present in (
        ("plain", embedded, mask),
        ("prompted", prompted, torch.cat([torch.ones((4, 3), dtype=torch.long), mask], 1)),
    ):
        given = {"inputs_embeds": inputs, "attention_mask": present}
        found[f"{kind}_logits"] = model(**given, decoder_input_ids=shifted).logits.numpy()
        answers = model.generate(**given, max_new_tokens=LENGTH, do_sample=False, num_beams=1)
        answers = answers[:, 1:].numpy()  # without the start
        found[f"{kind}_greedy"] = np.pad(answers, ((0, 0), (0, LENGTH - answers.shape[1])))
    return found


def published_shapes() -> dict[str, dict[str, list[int]]]:
    """Returns the shapes of every published size, without making the parameters."""
    shapes = {}
    for name, (width, feed_forward, heads, head, layers) in PUBLISHED.items():
        config = transformers.T5Config(
            vocab_size=250112 if name.startswith("mt5") else 32128,
            d_model=width,
            d_ff=feed_forward,
            num_heads=heads,
            d_kv=head,
            num_layers=layers,
            feed_forward_proj="relu" if name.startswith("t5_1_0") else "gated-gelu",
            tie_word_embeddings=name.startswith("t5_1_0"),
        )
        with torch.device("meta"):
            model = transformers.T5ForConditionalGeneration(config)
        shapes[name] = {
            key: list(parameter.shape)
            for key, parameter in model.named_parameters()
            if ".block." not in key or ".block.0." in key
        }
    return shapes


def main() -> None:
    if len(sys.argv) > 1:
        directory = Path(sys.argv[1])
        model = transformers.T5ForConditionalGeneration.from_pretrained(directory)
        np.savez_compressed(directory / "outputs.npz", **outputs(model))
        return
    for seed, (case, settings) in enumerate(CASES.items()):
        directory = HERE / f"hf_{case}"
        model = random_model({**SIZES, **settings}, seed)
        model.save_pretrained(directory, safe_serialization=True)
        (directory / "generation_config.json").unlink(missing_ok=True)
        np.savez_compressed(directory / "outputs.npz", **outputs(model))
    text = json.dumps(published_shapes(), separators=(",", ":")).replace("},", "},\n")
    (HERE / "hf_shapes.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
