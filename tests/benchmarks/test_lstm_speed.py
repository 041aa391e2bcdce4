"""The benchmark of the LSTM layer on a tiny shape: its parts, what it counts, and that the figures fit together."""

import json
import statistics
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmarks import lstm_speed
from tidegate.nn import backend

ARGUMENTS = ["--shapes", "2,3,1,4", "--seconds", "0.05", "--threads", "1", "training", "inference", "streaming", "--json"]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    """What `--json` prints; torch's threads and denormal numbers are then as they were."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("sys.argv", ["lstm_speed", *ARGUMENTS])
    try:
        lstm_speed.main()
        yield json.loads(capsys.readouterr().out)
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


def test_what_it_prints(found: dict[str, Any]) -> None:
    rows = found["rows"]
    assert {"machine", "versions", "command"} <= set(found)
    assert (found["backend"], found["threads"]) == (str(backend()), 1)
    assert [(row["part"], row["shape"]) for row in rows] == [
        ("training", "2,3,1,4"),
        ("inference", "2,3,1,4"),
        *(("streaming", f"{streams} of 8,128, {kind}") for streams in (1, 8) for kind in ("tensor", "array")),
    ]
    for row, operations in zip(rows, (24 * 4 * (1 + 4) * 2 * 3, 8 * 4 * (1 + 4) * 2 * 3), strict=False):
        assert 0 < row["ms"] <= row["median"]
        assert row["ratio"] == pytest.approx(row["torch ms"] / row["ms"])
        assert row["ratio of medians"] == pytest.approx(row["torch median"] / row["median"])
        assert row["GFLOP/s"] == pytest.approx(operations / row["ms"] / 1e6)
        assert row["of peak"] == (pytest.approx(row["GFLOP/s"] / found["peak_gflops"]) if backend().name == "native" else None)
    for row in rows[2:]:
        assert 0 < row["median"] <= row["99 % ms"]
        assert row["ratio"] == pytest.approx(row["torch median"] / row["median"])
    for part in ("training", "inference", "streaming"):
        ratios = [row["ratio"] for row in rows if row["part"] == part]
        mean = statistics.geometric_mean(ratios)
        assert found[part] == f"{mean:.2f} times as fast in the geometric mean, {min(ratios):.2f} at least"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_part_for_cuda_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr("sys.argv", ["lstm_speed", "--threads", "1", "cuda"])
    try:
        with pytest.raises(SystemExit, match="needs a CUDA device"):
            lstm_speed.main()
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
