"""For each task a report with every part filled, and one whose every part is odd."""

import math

import pytest

from tidegate.evaluate.report import ClassReport, ForecastReport, SpeechReport
from tidegate.evaluate.report.data import Bin, Example, Forecast, Heard, Hearing

ODD = '<b onload="x()">\'温度</b>&\x00\ud800'
LONG = "a_very_long_name_" * 12


def forecast(
    past: list, observed: list, ahead: list, *, title: str = "t", lower: list | None = None, upper: list | None = None
) -> Forecast:
    times = [str(step) for step in range(len(past) + len(ahead))]
    return {"title": title, "times": times, "past": past, "observed": observed, "forecast": ahead, "lower": lower, "upper": upper}


def example(
    title: str, truth: str | None, predicted: str, probability: float, *, channels: int = 1, weights: list | None = None
) -> Example:
    values = [[10 * math.sin(step / (4 + channel)) for step in range(60)] for channel in range(channels)]
    names = [f"channel_{channel + 1}" for channel in range(channels)]
    return {
        "title": title,
        "channels": names,
        "values": values,
        "weights": weights,
        "truth": truth,
        "predicted": predicted,
        "probability": probability,
    }


def hearing(title: str, tokens: list[str], *, spans: bool = True, frames: int = 200) -> Hearing:
    """Frames of 10 ms, steps of 20 ms, and tokens at even distances, each of them sure for three steps."""
    steps, every = frames // 2, frames // 2 // (len(tokens) + 1)
    heard: list[Heard] = [
        {"token": name, "begin": 0.02 * (place * every), "end": 0.02 * (place * every + 1), "confidence": 0.9}
        for place, name in enumerate(tokens, start=1)
    ]
    said: list[Heard] = [{**one, "begin": one["begin"] - 0.1, "end": one["begin"] + 0.1, "confidence": None} for one in heard]
    peaks = {name: [0.0] * steps for name in tokens}
    for place, name in enumerate(tokens, start=1):
        for step in range(-1, 2):
            peaks[name][place * every + step] = 0.9 - 0.4 * abs(step)
    return {
        "title": title,
        "text": "as it is written",
        "energies": [[math.sin(frame / 9) + band / 8 for band in range(40)] for frame in range(frames)],
        "hop": 0.01,
        "step": 0.02,
        "low": 20.0,
        "high": 8000.0,
        "tokens": heard,
        "curves": peaks,
        "blank": [1.0 - sum(peaks[name][step] for name in peaks) for step in range(steps)],
        "spans": said if spans else [],
    }


@pytest.fixture
def full() -> ForecastReport:
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
    return ForecastReport(
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
def odd() -> ForecastReport:
    nan = float("nan")
    huge = [1e9 + 1e7 * step for step in range(30)]
    return ForecastReport(
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


@pytest.fixture
def class_full() -> ClassReport:
    bins = [Bin(count=0, confidence=None, accuracy=None) for _ in range(11)]
    bins += [Bin(count=20 * number, confidence=(10.5 + number) / 15, accuracy=(10.2 + number) / 15) for number in range(1, 5)]
    return ClassReport(
        title="gestures.csv: 3 classes",
        verdict="Right on 96 of 120 sequences (80.0 %). Beats majority by 40.0 points.",
        beats=True,
        model="conv-lstm",
        facts=[("classes", 3)],
        notes=["class 'wave' is rare"],
        leaderboard=[
            {
                "rank": 1,
                "name": "conv-lstm",
                "accuracy": 0.8,
                "balanced_accuracy": 0.79,
                "f1_macro": 0.78,
                "log_loss": 0.51,
                "roc_auc": 0.93,
                "ece": 0.031,
            },
            {"name": "nearest_neighbour", "accuracy": 0.825, "log_loss": 0.72, "roc_auc": 0.9, "ece": 0.02},
            {"name": "majority", "accuracy": 0.4, "log_loss": 1.05, "roc_auc": 0.5, "ece": 0.0},
        ],
        history=[
            {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1 / epoch + 0.1 * (epoch > 3), "best": epoch == 3}
            for epoch in range(1, 6)
        ],
        members=3,
        confusion={"classes": ["wave", "点头", "push"], "counts": [[30, 7, 3], [0, 40, 0], [12, 2, 26]]},
        classes=[
            {"name": "wave", "support": 40, "precision": 0.714, "recall": 0.75, "f1": 0.732},
            {"name": "点头", "support": 40, "precision": 0.816, "recall": 1.0, "f1": 0.899},
            {"name": "push", "support": 40, "precision": None, "recall": 0.65, "f1": 0.754},
        ],
        calibration={"bins": bins, "ece": 0.031, "temperature": 1.34},
        evidence=[
            example("sequence 7", "wave", "wave", 0.91, weights=[0.1] * 5 + [0.5]),
            example("sequence 9", "push", "wave", 0.55, channels=5, weights=[1 / 60] * 60),
        ],
        mistakes=[example("sequence 12", "push", "wave", 0.99996), example("sequence 13", None, "点头", 0.8)],
        tuning={"trials": [{"number": 0, "value": 0.5, "state": "complete", "params": {"hidden": 64}}], "best": 0, "metric": "log_loss"},
        config={"task": "classify", "network": {"name": "conv-lstm"}},
        commands=["tidegate predict runs/gestures NEW_DATA --out classes.csv"],
    )


@pytest.fixture
def speech_full() -> SpeechReport:
    return SpeechReport(
        title="corpus: speech to phones",
        verdict="17.1 % errors in 881 phones of 24 utterances. Beats best_path by 6.0 points.",
        beats=True,
        model="blstm",
        facts=[("scored", "881 phones, as 'kaldi'")],
        notes=["read as TIMIT"],
        leaderboard=[
            {"rank": 1, "name": "blstm", "per": 0.171, "per_no_silence": 0.188},
            {"name": "best_path", "per": 0.232, "per_no_silence": 0.256},
            {"name": "constant", "per": 0.763, "per_no_silence": 0.828},
        ],
        history=[
            {"epoch": epoch, "train_loss": 3 / epoch, "validation_loss": 1 / epoch + 0.1 * (epoch > 3), "best": epoch == 3}
            for epoch in range(1, 6)
        ],
        config={"task": "transcribe"},
        commands=["tidegate predict runs/corpus RECORDING.wav"],
        tokens="phones",
        errors={"substitutions": 52, "deletions": 91, "insertions": 8, "tokens": 881, "utterances": 24, "wrong_utterances": 24},
        speakers=[
            {"name": "mylu0", "rate": 0.106, "tokens": 284, "utterances": 8},
            {"name": "fcca0", "rate": 0.275, "tokens": 1, "utterances": 1},
            {"name": "silent", "rate": None, "tokens": 0, "utterances": 1},
        ],
        by_token=[
            {"name": "aa", "count": 34, "right": 20, "substituted": 5, "deleted": 9},
            {"name": "sil", "count": 148, "right": 138, "substituted": 0, "deleted": 10},
            {"name": "r", "count": 46, "right": 46, "substituted": 0, "deleted": 0},
        ],
        confusions=[("aa", "eh", 3), ("aa", "r", 2), ("b", "m", 1)],
        transcripts=[
            {
                "title": "Worst: SX350",
                "text": "Neither.",
                "rate": 0.5,
                "rows": [("equal", "n", "n"), ("substitute", "iy", "ih"), ("delete", "dh", None), ("insert", None, "er")],
            },
            {"title": "Best: SX28", "text": "", "rate": 0.0, "rows": [("equal", "w", "w")]},
        ],
        hearings=[hearing("SI723", ["h#", "dh", "ax", "dh"]), hearing("SX350", ["n"], spans=False)],
    )


@pytest.fixture
def speech_odd() -> SpeechReport:
    nan = float("nan")
    names = [ODD, LONG, " ", "", *(f"字{number}" for number in range(30))]
    empty: Hearing = {**hearing(ODD, []), "energies": [], "curves": {}, "blank": [], "spans": []}
    broken: Hearing = {**hearing(LONG, [ODD, LONG, " "] * 9), "energies": [[nan, None, 1e308, -1e308]] * 40, "blank": [nan, None, 7.0]}
    flat: Hearing = {**hearing(ODD, ["a"] * 20, frames=4000), "energies": [[1.0] * 3] * 4000, "low": 0.0, "high": 90.0}
    return SpeechReport(
        title=ODD + LONG,
        verdict=ODD,
        beats=False,
        model=ODD,
        facts=[(ODD, ODD)],
        notes=[ODD, LONG],
        leaderboard=[{"name": ODD, "cer": 7.0, "wer": nan}, {"name": LONG, "cer": nan}],
        history=[{"epoch": 1, "train_loss": nan, "validation_loss": nan}],
        config={ODD: ODD},
        commands=[ODD],
        tokens="characters",
        speakers=[{"name": f"{ODD}{number}", "rate": number * 1e6, "tokens": 10**9, "utterances": 1} for number in range(40)],
        by_token=[{"name": name, "count": number, "right": 0, "substituted": number, "deleted": 0} for number, name in enumerate(names)],
        confusions=[(ODD, LONG, 10**9), (" ", ODD, 1), ("never counted", "", 1)],
        transcripts=[
            {"title": ODD, "text": ODD, "rate": nan, "rows": []},
            {
                "title": LONG,
                "text": LONG,
                "rate": 9e9,
                "rows": [("substitute", ODD, LONG), ("insert", None, ODD), ("delete", " ", None)] * 300,
            },
        ],
        hearings=[empty, broken, flat],
    )


@pytest.fixture
def class_odd() -> ClassReport:
    nan = float("nan")
    empty: Example = {"title": ODD, "channels": [], "values": [], "truth": ODD, "predicted": ODD, "probability": nan}
    strange: Example = {
        "title": ODD,
        "channels": [ODD, LONG, "c", "d"],
        "values": [[nan, None, 1e308], [], [1e9] * 5000, [1.0]],
        "weights": [nan, None, 0.0, -1.0, 1e-12],
        "truth": None,
        "predicted": LONG,
        "probability": 1.0,
    }
    names = [ODD, LONG, *[f"a class with a long name {number}" for number in range(30)]]
    return ClassReport(
        title=ODD + LONG,
        verdict=ODD,
        beats=False,
        model=ODD,
        facts=[(ODD, ODD)],
        notes=[ODD, LONG],
        leaderboard=[{"name": ODD, "accuracy": 0.0, "ece": nan, ODD: 2.0}, {"name": LONG, "accuracy": nan}],
        history=[{"epoch": 1, "train_loss": nan, "validation_loss": None}],
        confusion={
            "classes": names,
            "counts": [[((row + column) % 7 + 9 * (row == 0)) * 10**6 for column in range(32)] for row in range(32)],
        },
        classes=[{"name": name, "support": 10**9, "precision": nan, "recall": None, "f1": 7.0} for name in names],
        calibration={"bins": [{"count": 1, "confidence": nan, "accuracy": 1.0}], "ece": nan, "temperature": nan},
        evidence=[strange],
        mistakes=[empty, strange, {**strange, "channels": [LONG], "values": [[5.0]]}],
        tuning={"trials": [{"number": 0, "value": 1.0, "state": "complete", "params": {ODD: ODD}}], "metric": ODD},
        config={ODD: ODD},
        commands=[ODD],
    )
