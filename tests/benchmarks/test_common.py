"""What every benchmark prints."""

import json

import pytest

from benchmarks import startup
from benchmarks.common import show_json, table


def test_a_table_is_aligned() -> None:
    rows = [{"name": "ridge", "mse": 0.36666, "rows": 17420}, {"name": "a longer name", "mse": float("nan"), "note": "x"}]
    assert table(rows).splitlines() == [
        "name              mse    rows  note",
        "ridge          0.3667  17,420",
        "a longer name     nan          x",
    ]


def test_json_is_one_object_with_machine_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    show_json("startup", {"mse": float("nan")})
    found = json.loads(capsys.readouterr().out)
    assert found["mse"] is None
    assert {"machine", "versions", "command"} <= set(found)


def test_startup_measures_every_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(startup, "VERBS", ("",))
    monkeypatch.setattr("sys.argv", ["startup", "--runs", "1", "--json"])
    startup.main()
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["what"] for row in rows] == ["import tidegate", "tidegate --help"]
    assert all(row["processor_above"] < row["seconds"] < 30 for row in rows)
