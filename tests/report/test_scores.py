"""Scores as people read them."""

import pytest

from tidegate.scores import per_cents, score_cost, score_names, score_texts, score_title


def test_columns_are_in_the_order_of_reading() -> None:
    rows = [{"name": "a", "rank": 1, "ece": 0.1, "zeta": 2.0, "accuracy": 0.5}, {"coverage_80": 0.7, "mae": 1.0, "log_loss": None}]
    assert score_names(rows) == ["mae", "accuracy", "ece", "coverage_80", "zeta"]
    assert [score_title(name) for name in ("smape", "f1_macro", "balanced_accuracy", "coverage_80", "roc_auc")] == [
        "sMAPE",
        "macro F1",
        "balanced accuracy",
        "coverage, 80 %",
        "ROC AUC",
    ]


def test_columns_of_transcription() -> None:
    names = ["sentences_right", "wer", "cer", "per_no_silence", "per"]
    assert score_names([dict.fromkeys(names, 0.5)]) == names[::-1]
    assert [score_title(name) for name in names] == ["sentences right", "WER", "CER", "PER without silences", "PER"]
    assert [score_texts(name, [0.125]) for name in names] == [["12.5 %"]] * 5


def test_fractions_are_per_cents_but_not_areas_and_nats() -> None:
    assert score_texts("accuracy", [0.973, None, 1.0]) == ["97.3 %", "–", "100.0 %"]
    assert score_texts("ece", [0.031]) == ["3.10 %"]
    assert score_texts("roc_auc", [0.9812]) == ["0.9812"]
    assert score_texts("log_loss", [0.5]) == ["0.5000"]
    assert per_cents([float("nan")]) == ["–"]


@pytest.mark.parametrize(
    ("score", "better", "worse"),
    [
        ("mae", 1.0, 2.0),
        ("accuracy", 0.9, 0.8),
        ("log_loss", 0.1, 0.2),
        ("ece", 0.01, 0.02),
        ("bias", -0.1, 0.2),
        ("coverage_80", 0.82, 0.7),
        ("per", 0.1, 0.2),
        ("per_no_silence", 0.1, 0.2),
        ("cer", 0.1, 0.2),
        ("wer", 0.1, 1.2),
        ("sentences_right", 0.9, 0.8),
    ],
)
def test_better_costs_less(score: str, better: float, worse: float) -> None:
    assert score_cost(score, better) < score_cost(score, worse)
