"""Makes the golden files that hold what PEFT computes with a prompt of its own, in peft_t5_1_0/.

It is the directory that PEFT writes (`adapter_config.json`, `adapter_model.safetensors`) for an
untrained prompt on the model of `hf_t5_1_0`, and `logits.npy` for the inputs of that model's
`outputs.npz`. PEFT is no dependency of this project; in an environment of its own:

    pip install torch "transformers==5.23.*" "peft==0.21.*"
    python tests/golden/make_peft_golden.py

Parts of it, for prompts anywhere:

    python tests/golden/make_peft_golden.py make ADAPTER [NAME=INTEGER ...]
    python tests/golden/make_peft_golden.py logits ADAPTER LOGITS

The first writes an adapter, with settings of PEFT's PromptTuningConfig; the second loads one with
the base model that it names, and writes the logits that it gives.
"""

import os
import sys
from pathlib import Path

import numpy as np
import peft  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]
import transformers  # pyright: ignore[reportMissingImports]

HERE = Path(__file__).parent
BASE = "hf_t5_1_0"


def make(adapter: Path, base: Path, **settings: int) -> None:
    """Writes an adapter with a random prompt, as PEFT does."""
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(base)
    config = peft.PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM", **{"num_virtual_tokens": 3, **settings}
    )
    peft.get_peft_model(model, config).save_pretrained(adapter)
    (adapter / "README.md").unlink()


@torch.no_grad()
def logits(adapter: Path) -> np.ndarray:
    """Returns the logits of PEFT's model with an adapter, in float32."""
    model = peft.AutoPeftModelForSeq2SeqLM.from_pretrained(adapter).eval()
    inputs = np.load(HERE / BASE / "outputs.npz")
    tokens, targets = (torch.tensor(inputs[name]) for name in ("tokens", "targets"))
    found = model(input_ids=tokens, attention_mask=(tokens > 0).long(), labels=targets)
    return found.logits.numpy()


def main() -> None:
    if sys.argv[1:2] == ["make"]:
        settings = dict(word.split("=") for word in sys.argv[3:])
        numbers = {name: int(value) for name, value in settings.items()}
        make(Path(sys.argv[2]), HERE / BASE, **numbers)
    elif sys.argv[1:2] == ["logits"]:
        np.save(sys.argv[3], logits(Path(sys.argv[2])))
    else:
        os.chdir(HERE)  # The adapter names its base model by this path.
        folder = Path("peft_t5_1_0")
        make(folder, Path(BASE))
        np.save(folder / "logits.npy", logits(folder))


if __name__ == "__main__":
    main()
