"""Packaging of prompt_tuning; tool settings are in pyproject.toml, pins in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "prompt_tuning/__init__.py").read_text(), re.MULTILINE
)
assert VERSION, "prompt_tuning/__init__.py must define __version__"
README = ROOT / "README.md"

setup(
    name="prompt-tuning",
    version=VERSION.group(1),
    description="Soft prompt tuning and soft prompt transfer on a frozen T5, in JAX and Flax",
    long_description=README.read_text() if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # The gin files are at the top of the repository; a wheel has them as prompt_tuning/configs.
    packages=[
        *find_packages(include=["prompt_tuning", "prompt_tuning.*"]),
        "prompt_tuning.configs",
    ],
    package_dir={"prompt_tuning.configs": "configs"},
    package_data={
        "prompt_tuning.configs": ["*.gin", "*/*.gin"],
        "prompt_tuning.analysis": ["published/*"],
        "prompt_tuning.analysis.study": ["page.css"],
        "prompt_tuning.mini": ["t5_mini/*"],
    },
    entry_points={"console_scripts": ["prompt-tuning = prompt_tuning.cli.main:main"]},
    install_requires=[
        "flax>=0.12.8,<0.13",
        "gin-config>=0.5,<0.6",
        "huggingface_hub>=1.0,<3",
        # TensorFlow Datasets needs it to prepare a dataset, and does not ask for it.
        "importlib_resources>=6.4,<8",
        "jax>=0.10.2,<0.12",
        "matplotlib>=3.10,<4",
        "ml_dtypes>=0.5,<1",
        "numpy>=2.2,<3",
        "optax>=0.2.8,<0.3",
        "orbax-checkpoint>=0.12.8,<0.13",
        "rich>=14,<16",
        "rouge-score>=0.1.2,<0.2",
        "sacrebleu>=2.5,<3",
        "safetensors>=0.6,<0.9",
        "scikit-learn>=1.7,<2",
        "scipy>=1.15,<2",
        "sentencepiece>=0.2.1,<0.3",
        "seqio>=0.0.20,<0.1",
        "tensorboardX>=2.6.4,<3",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10,<5",
        "tensorflow-text>=2.21,<2.22",
        "tensorstore>=0.1.80,<0.2",
    ],
    extras_require={
        "test": [
            # The extra brings Node.js as a wheel, so that no system Node is needed.
            "pyright[nodejs]>=1.1.410",
            "pytest>=9,<10",
            "pytest-timeout>=2.4,<3",
            "pytest-xdist>=3.8,<4",
            "ruff>=0.17,<0.18",
        ],
        "gpu": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
    },
)
