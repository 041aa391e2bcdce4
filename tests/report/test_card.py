import re
from dataclasses import replace

import pytest

from tidegate.runs.card import Card, markdown, model_card


@pytest.fixture
def card() -> Card:
    return Card(
        title="load, 24 hours ahead",
        network="attention-cnn-lstm",
        targets=["load", "温度"],
        horizon=24,
        verdict="The model loses to ridge: its MAE is 4.2 % larger.",
        frequency="hourly",
        lookback=336,
        facts=[("Series", 1), ("Missing", None)],
        leaderboard=[
            {"rank": 1, "name": "ridge", "mae": 39.5, "r2": 0.9},
            {"name": "attention-cnn-lstm", "mae": 41.23, "r2": float("nan")},
        ],
        future=["temp"],
        folder="runs/my load",
        notes=["The season is 24."],
    )


def test_header_is_yaml_that_a_hub_reads(card: Card) -> None:
    header = model_card(card).split("---\n")[1]
    assert header.startswith("library_name: tidegate\npipeline_tag: time-series-forecasting\ntags:\n- time-series-forecasting\n- lstm\n")
    assert "metrics:\n- mae\n- r2\n" in header
    assert '- "a: b\\"\\u6e29"\n' in model_card(replace(card, network='a: b"温'))


def test_body_has_verdict_scores_and_both_ways_to_use_it(card: Card) -> None:
    text = model_card(card)
    assert text.index("loses to ridge") < text.index("## What it forecasts") < text.index("## Data") < text.index("## Scores")
    assert "**load**, **温度**, the next 24 steps (a step is hourly)" in text
    assert "| forecaster | mae | r2 |\n|---|---:|---:|\n" in text
    assert "| ridge | 39.50 | 0.9000 |" in text
    assert "| **attention-cnn-lstm** (this model) | 41.23 | – |" in text
    assert "tidegate predict 'runs/my load' --out forecast.csv" in text
    assert 'model = tg.load("runs/my load")' in text
    assert "future values of temp" in text


def test_tables_keep_their_shape_whatever_the_names(card: Card) -> None:
    text = model_card(replace(card, leaderboard=[{"name": "a|b\n<script>", "mae": 1.0}], facts=[("x|y", "1|2\n3")]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c", r"a\_b\*c"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[x](y)", r"\[x\](y)"),
        ("- x\ny", r"\- x y"),
        ("\ud800温", "温"),
        ("$x$", r"\$x\$"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_folder_cannot_end_the_code_block(card: Card) -> None:
    assert model_card(replace(card, folder="x\n```\n# gone")).count("```") == 4


def test_little_known_makes_a_short_card() -> None:
    text = model_card(Card(title="t", network="lstm", targets=["y"], horizon=1, verdict="v"))
    assert "## Scores" not in text
    assert "## Data" not in text
    assert "the next step, by" in text
    assert "metrics:" not in text
