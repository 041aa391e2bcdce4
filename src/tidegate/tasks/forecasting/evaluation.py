"""Scores, rivals and a verdict, as an object that people and programs can read."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tidegate.config import Config
from tidegate.evaluate.forecast import Backtest, by_lead_time, by_series, by_target, metrics
from tidegate.evaluate.leaderboard import Row, leaderboard
from tidegate.evaluate.verdict import Verdict, verdict


@dataclass(frozen=True)
class Evaluation:
    """metrics of the model; baselines: the same for each rival; verdict in words; table: a row for each, best first."""

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    table: list[Row]
    beats: bool | None
    targets: dict[str, dict[str, float]]
    lead_times: dict[str, list[float]]
    series: dict[str, list[float]]
    comparisons: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    origins: int = 0

    def to_json(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "task": "forecast",
            "metrics": self.metrics,
            "baselines": self.baselines,
            "verdict": self.verdict,
            "comparisons": self.comparisons,
            "origins": self.origins,
            "targets": self.targets,
            "lead_times": self.lead_times,
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        """For notebooks: the verdict and the table."""
        from tidegate.evaluate.report.tables import verdict_and_scores

        return verdict_and_scores(self.verdict, self.table)


def evaluate_backtests(name: str, model: Backtest, rivals: dict[str, Backtest], config: Config, notes: list[str]) -> Evaluation:
    """Scores of all, and who beats whom by the error that training minimised; where units differ, between series or targets, by MASE,
    whatever the loss: in a mean of errors with units the largest unit alone would decide."""
    several = len(model.ids) > 1 or len(model.targets) > 1
    metric = "mase" if several else "rmse" if config.training.loss == "mse" else "mae"
    own = metrics(model)
    others = {rival: metrics(backtest) for rival, backtest in rivals.items()}
    judged: Verdict = verdict(model, {rival: one for rival, one in rivals.items() if rival != WITHOUT_ATTENTION}, metric)
    table = leaderboard({name: own, **others}, metric)
    lead_times = {name: by_lead_time(model)["mae"].tolist()}
    lead_times |= {rival: by_lead_time(backtest)["mae"].tolist() for rival, backtest in rivals.items()}
    series = {key: np.asarray(values).tolist() for key, values in by_series(model).items()}
    return Evaluation(
        own, others, judged.text, table, judged.beats, by_target(model), lead_times, series, judged.table(), notes, len(model.series)
    )


WITHOUT_ATTENTION = "without_attention"
"""Name of the network without its attention branch among the rivals."""
