"""A report with every part filled, and one whose every part is odd."""

import math

import pytest

from tidegate.evaluate.report import ReportData
from tidegate.evaluate.report.data import Forecast

ODD = '<b onload="x()">\'温度</b>&\x00\ud800'
LONG = "a_very_long_name_" * 12


def forecast(
    past: list, observed: list, ahead: list, *, title: str = "t", lower: list | None = None, upper: list | None = None
) -> Forecast:
    times = [str(step) for step in range(len(past) + len(ahead))]
    return {"title": title, "times": times, "past": past, "observed": observed, "forecast": ahead, "lower": lower, "upper": upper}


@pytest.fixture
def full() -> ReportData:
    wave = [10 * math.sin(step / 4) for step in range(96)]
    times = [f"2020-01-{1 + hour // 24:02d} {hour % 24:02d}:00" for hour in range(96)]
    ahead = [value + 1 for value in wave[72:]]
    lower, upper = [value - 3 for value in ahead], [value + 3 for value in ahead]
    picture: Forecast = {
        "title": "负荷",
        "times": times,
        "past": wave[:72],
        "observed": wave[72:],
        "forecast": ahead,
        "lower": lower,
        "upper": upper,
    }
    return ReportData(
        title="load, 24 hours ahead",
        verdict="net beats ridge by 6.7 %. It is more than noise.",
        beats=True,
        model="net",
        facts=[("Series", 1), ("Frequency", "hourly")],
        notes=["The season is 24."],
        leaderboard=[
            {"rank": 1, "name": "net", "mae": 41.23, "smape": 0.312, "coverage_80": 0.78},
            {"name": "seasonal_naive_24", "mae": 62.67, "smape": 0.385},
        ],
        history=[
            {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1 / epoch + 0.1 * (epoch > 3), "best": epoch == 3}
            for epoch in range(1, 6)
        ],
        forecasts=[picture, picture, picture],
        lead_times={
            "net": [1.0, 2.0, 3.0],
            "ridge": [1.5, 2.5, 3.5],
            "drift": [1.0, 50.0, 100.0],
            "mean": [4.0, 4.0, 4.0],
            "naive": [2.0, 2.0, 2.0],
        },
        targets=[{"name": "load", "mae": 40.0}, {"name": "负荷", "mae": 42.0}],
        cleaning={
            "total": 412,
            "by_reason": {"outlier": 37, "sentinel": 375},
            "rows": [
                {"series": "a", "channel": "负荷", "time": "2020-01-01", "observed": -999.0, "replacement": None, "reason": "sentinel"}
            ],
            "examples": [
                {"title": "负荷", "times": times[:9], "observed": [1, 2, 3, 900, 2, 3, 2, 1, 2], "cleaned": [1, 2, 3, 2.5, 2, 3, 2, 1, 2]}
            ],
        },
        attention={"spans": [(72, 24), (48, 0)], "weights": [0.25, 0.75], "examples": [[0.5, 0.5], [0.1, 0.9]], "titles": ["one", "two"]},
        ablation={"with_attention": {"mae": 41.0}, "without_attention": {"mae": 50.0}, "note": "One seed each."},
        tuning={
            "trials": [
                {"number": 0, "value": 0.5, "state": "complete", "params": {"hidden": 64}},
                {"number": 1, "value": 0.7, "state": "pruned"},
                {"number": 2, "value": 0.4, "state": "complete", "params": {"hidden": 128}},
                {"number": 3, "value": None, "state": "failed"},
            ],
            "importance": {"hidden": 0.8, "dropout": 0.2},
            "best": 2,
            "metric": "mae",
        },
        config={"task": "forecast", "data": {"target": ["load"], "clean": True, "season": None}},
        commands=["tidegate predict runs/load --out forecast.csv"],
    )


@pytest.fixture
def odd() -> ReportData:
    nan = float("nan")
    huge = [1e9 + 1e7 * step for step in range(30)]
    return ReportData(
        title=ODD + LONG,
        verdict=ODD,
        beats=False,
        model=ODD,
        facts=[(ODD, ODD), ("none", None), ("nan", nan)],
        notes=[ODD, LONG],
        leaderboard=[{"name": ODD, "mae": 1e9, "rmse": nan, ODD: 2.0}, {"name": LONG, "mae": 1e-9}, {"name": "mean", "mae": float("inf")}],
        history=[{"epoch": 1, "train_loss": nan, "validation_loss": None}],
        forecasts=[
            forecast([1, 2, nan, 4, None, 3], [1, nan, 2], [2, 2, None], title=ODD, lower=[1, 1, 1], upper=[3, None, 3]),
            forecast([5.0], [6.0], [5.5], lower=[5.0], upper=[6.0]),
            forecast([], [], []),
            forecast([7.0] * 20, [7.0] * 5, [7.0] * 5),
            forecast(huge, [1.3e9] * 3, [1.3e9] * 3),
            forecast([step * 1e-9 for step in range(9)], [], [1e-9]),
            forecast([None] * 5, [None] * 3, [nan] * 3),
            forecast([1e308, -1e308, float("inf"), 1], [2], [3]),
            forecast(list(range(5000)), list(range(720)), list(range(720)), title=LONG),
        ],
        lead_times={ODD: [1.0], LONG: [2.0], "nan": [nan], "empty": []},
        targets=[{"name": ODD, "mae": 1}, {"name": "b", "mae": 2}],
        cleaning={
            "total": 1,
            "by_reason": {ODD: 1},
            "rows": [{"series": ODD, "channel": ODD, "time": ODD, "observed": 1e9, "replacement": nan, "reason": ODD}],
            "examples": [{"times": [], "observed": [], "cleaned": []}, {"title": ODD, "times": [ODD], "observed": [5], "cleaned": [nan]}],
        },
        attention={"spans": [(24, 0)], "weights": [1.0], "examples": [[nan]], "titles": [ODD]},
        ablation={"with_attention": {"mae": 1.0}, "without_attention": {"mae": None}, "note": ODD},
        tuning={
            "trials": [{"number": 0, "value": None, "state": ODD}, {"number": 1, "value": 1.0, "state": "complete", "params": {ODD: ODD}}],
            "importance": {ODD: 1.0, "nan": nan},
            "metric": ODD,
        },
        config={ODD: ODD, "data": {ODD: [ODD, None]}},
        commands=[ODD],
    )
