"""Scores as people read them: their order in a table, their names, fractions as per cents, and which way is better."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.formatting import MISSING, finite, format_column

ORDER = (
    *("mae", "rmse", "mase", "smape", "mape", "r2", "bias", "pinball"),
    *("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "ece"),
    *("per", "per_no_silence", "cer", "wer", "sentences_right"),
)
"""Of a table's columns; coverage follows, then whatever else there is."""
HIGHER_IS_BETTER = frozenset({"r2", "accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "sentences_right"})
_NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "smape": "sMAPE",
    "mape": "MAPE",
    "r2": "R²",
    "f1_macro": "macro F1",
    "roc_auc": "ROC AUC",
    "ece": "ECE",
    "per": "PER",
    "per_no_silence": "PER without silences",
    "cer": "CER",
    "wer": "WER",
}
_FRACTIONS = frozenset(
    {"mape", "smape", "accuracy", "balanced_accuracy", "f1_macro", "ece", "per", "per_no_silence", "cer", "wer", "sentences_right"}
)
"""Shown as per cents."""


def score_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scores that any row has a number for, in the order of the columns."""
    present = {key for row in rows for key, value in row.items() if key not in ("name", "rank") and finite(value) is not None}
    known = [score for score in ORDER if score in present]
    coverage = sorted(score for score in present if score.startswith("coverage_"))
    return known + coverage + sorted(present - {*known, *coverage})


def score_title(score: str) -> str:
    """The name in a table's head: 'sMAPE' for smape, 'coverage, 80 %' for coverage_80."""
    if score.startswith("coverage_"):
        return f"coverage, {score.removeprefix('coverage_')} %"
    return _NAMES.get(score, score.replace("_", " "))


def score_texts(score: str, values: Sequence[Any]) -> list[str]:
    """The numbers of one score as aligned text; fractions as per cents."""
    if score in _FRACTIONS or score.startswith("coverage_"):
        return per_cents(values)
    return format_column(values)


def per_cents(fractions: Sequence[Any]) -> list[str]:
    """Fractions as aligned per cents."""
    shares = [None if (number := finite(value)) is None else number * 100 for value in fractions]
    return [text if text == MISSING else f"{text} %" for text in format_column(shares, 3)]


def score_cost(score: str, value: float) -> float:
    """How bad a score is, to find the best: the highest R² or accuracy, the bias nearest to none, the coverage nearest to its name,
    the lowest of all others."""
    aim = _named_coverage(score)
    return -value if score in HIGHER_IS_BETTER else abs(value - aim) if aim or score == "bias" else value


def _named_coverage(score: str) -> float:
    """0.8 for coverage_80; 0 for what is no coverage."""
    number = re.fullmatch(r"coverage_(\d+(?:\.\d+)?)", score)
    return float(number[1]) / 100 if number else 0.0
