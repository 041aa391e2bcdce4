"""The table of a model and its rivals."""

import math

from tidegate.evaluate.leaderboard import leaderboard, leaderboard_csv

SCORES = {
    "lstm": {"mae": 2.0, "mase": 0.5, "pinball": 1.0},
    "mean": {"mae": 3.0, "mase": math.nan},
    "ridge": {"mae": 1.5, "mase": 0.25},
    "drift": {"mae": math.nan, "mase": 1.0},
}


def test_rows_are_sorted_by_the_metric_and_absent_scores_are_none() -> None:
    rows = leaderboard(SCORES)
    assert [row["name"] for row in rows] == ["ridge", "lstm", "mean", "drift"]
    assert [row["rank"] for row in rows] == [1, 2, 3, None]
    assert rows[0] == {"rank": 1, "name": "ridge", "mae": 1.5, "mase": 0.25, "pinball": None}
    assert rows[2]["mase"] is None


def test_another_metric_gives_another_order() -> None:
    assert [row["name"] for row in leaderboard(SCORES, "mase")] == ["ridge", "lstm", "drift", "mean"]


def test_csv_has_a_header_and_empty_cells() -> None:
    lines = leaderboard_csv(leaderboard(SCORES)).splitlines()
    assert lines[:2] == ["rank,name,mae,mase,pinball", "1,ridge,1.5,0.25,"]
    assert len(lines) == 5
    assert leaderboard_csv([]) == "rank,name\n"
