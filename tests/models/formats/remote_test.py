"""Remote backbones, from `gs://` (a local test server) and from the hub's cache."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from jax.sharding import SingleDeviceSharding

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.formats.t5x import write_t5x
from prompt_tuning.models.parameters import in_memory
from prompt_tuning.models.vocabulary_file import fetch_vocabulary
from prompt_tuning.models.weights import is_remote, open_backbone
from prompt_tuning.types import UserError
from tests.models.conftest import GOLDEN

ROOT = Path(__file__).parents[3]
AS_STORED = {"model": None, "vocabulary": None, "param_dtype": "float32"}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The local directory behind `gs://bucket`, served like Google Cloud Storage."""
    folder = tmp_path / "bucket"
    folder.mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = urllib.parse.urlparse(self.path).path.removeprefix("/storage/v1/b/bucket/o/")
            file = folder / urllib.parse.unquote(name)
            content = file.read_bytes() if file.is_file() else b""
            self.send_response(200 if file.is_file() else 404)
            self.send_header("x-goog-generation", "1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with the network disabled."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_checkpoint_and_a_vocabulary_are_read_from_a_bucket(
    bucket: Path, tmp_path: Path, golden_maker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("prompt_tuning.models.formats.t5x._INLINE", 100)
    config = golden_maker.CONFIGS["t5_1_1"]
    params = golden_maker.parameters(config, 0)
    (bucket / "checkpoint_5").mkdir()
    write_t5x(bucket / "checkpoint_5", in_memory(params), 5)
    vocabulary = write_vocabulary(bucket / "pieces.model", 40, sentinels=2)

    def opened():
        return open_backbone(
            "gs://bucket/checkpoint_5",
            model=config,
            vocabulary=fetch_vocabulary("gs://bucket/pieces.model", tmp_path / "cache"),
            param_dtype="float32",
        )

    (found,) = opened().load([SingleDeviceSharding(jax.devices()[0])])
    found = flatten_dict(found, sep="/")
    for name, value in flatten_dict(params, sep="/").items():
        np.testing.assert_array_equal(found[name], value)
    content = vocabulary.read_bytes()
    vocabulary.unlink()
    assert opened().vocabulary_file.read_bytes() == content  # It was kept.
    (bucket / "checkpoint_5" / "target.token_embedder.embedding" / "0.0").unlink()
    with pytest.raises(UserError, match=r"token_embedder.embedding: missing or damaged"):
        opened().load([SingleDeviceSharding(jax.devices()[0])])


def test_public_buckets_are_read_without_advice_to_log_in(bucket: Path, tmp_path: Path):
    (bucket / "v.model").write_bytes(b"pieces")
    command = "import sys; from prompt_tuning.models.formats import arrays; "
    command += "sys.exit(arrays.read_file('gs://bucket/v.model') != b'pieces')"
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_missing_paths_in_a_bucket_are_named(bucket: Path, tmp_path: Path):
    with pytest.raises(UserError, match="gs://bucket/none: it is not a T5X checkpoint"):
        open_backbone("gs://bucket/none", **AS_STORED)
    with pytest.raises(UserError, match=r"vocabulary gs://bucket/v.model: there is no such file"):
        fetch_vocabulary("gs://bucket/v.model", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_model_of_the_hub_is_read_from_its_cache(hub: Path):
    snapshot = hub / "models--owner--small" / "snapshots" / "123abc"
    shutil.copytree(GOLDEN / "hf_t5_1_1", snapshot)
    write_vocabulary(snapshot / "spiece.model", 48, sentinels=5)
    (hub / "models--owner--small" / "refs").mkdir()
    (hub / "models--owner--small" / "refs" / "main").write_text("123abc")
    backbone = open_backbone("owner/small", **AS_STORED)
    assert backbone.config.name == "small"
    assert backbone.vocabulary_file == snapshot / "spiece.model"
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no safetensors on the hub.*as owner/small@refs/pr/1"):
        open_backbone("owner/small@main", **AS_STORED)


def test_a_model_that_cannot_be_fetched_is_a_one_line_error(hub: Path):
    with pytest.raises(UserError, match=r"owner/none: there is no such directory, and it") as error:
        open_backbone("owner/none", **AS_STORED)
    assert "\n" not in str(error.value)


def test_remote_backbones_are_recognized(tmp_path: Path):
    assert is_remote("gs://bucket/x") and is_remote("owner/name")
    assert not is_remote("t5_mini") and not is_remote(str(tmp_path))
