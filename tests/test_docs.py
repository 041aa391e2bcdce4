"""The Python in the pages of docs/ runs, a page's blocks one after the other."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tasks.transcription.tiny import whistle, write_corpus, write_wav

DOCS = Path(__file__).resolve().parents[1] / "docs"


def python(page: str) -> list[str]:
    """The blocks of a page, in their order."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def execute(blocks: list[str]) -> dict[str, Any]:
    """The names that are there after the blocks."""
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the code saves lands in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


OTHER_PAGES = [path.name for path in sorted(DOCS.glob("*.md")) if path.name != "keras-example.md" and python(path.name)]


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_its_code_runs(page: str, tmp_path: Path) -> None:
    if page == "transcribe.md":
        write_corpus(tmp_path / "recordings")
        write_wav(tmp_path / "new.wav", whistle("cad ba"))
    execute(python(page))


def test_the_keras_example_in_tidegate(tmp_path: Path) -> None:
    """The settings reach the network, training ends after ten epochs, and what the page says of the results holds."""
    names = execute([block for block in python("keras-example.md") if "import keras" not in block])
    model, probabilities = names["model"], names["probabilities"]
    network = model.config.network
    assert (network.name, network.hidden, network.layers, network.bidirectional, network.pooling, network.dropout) == (
        ("lstm", 64, 1, False, "last", 0.0)
    )
    assert (model.config.training.learning_rate, model.config.training.optimiser, model.config.training.batch_size) == (1e-3, "adam", 64)
    assert [epoch["epoch"] for epoch in model.history] == list(range(10))
    assert (names["classes"] == np.array(model.classes).astype(int)[probabilities.argmax(1)]).all()
    assert probabilities.shape == (5, 10)
    assert len(names["scores"].metrics) == 6
    assert names["scores"].metrics["accuracy"] > 0.9
    assert (tmp_path / "runs" / "example" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_keras_example_in_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras is installed; on fewer sequences, for its LSTM on torch takes a second a batch."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        pytest.importorskip("keras")
    blocks = [block for block in python("keras-example.md") if "import tidegate" not in block]
    names = execute([block.replace("640", "80").replace("epochs=10", "epochs=1") for block in blocks])
    assert names["logits"].shape == (5, 10)
