import re
from dataclasses import replace

import pytest

from tidegate.runs.card import ClassCard, ForecastCard, SpeechCard, markdown, model_card


@pytest.fixture
def card() -> ForecastCard:
    return ForecastCard(
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


@pytest.fixture
def class_card() -> ClassCard:
    return ClassCard(
        title="gestures",
        network="conv-lstm",
        classes=["wave", "点|头"],
        channels=["x_1"],
        verdict="Right on 96 of 120 sequences (80.0 %).",
        facts=[("classes", 2)],
        leaderboard=[
            {"rank": 1, "name": "conv-lstm", "ece": 0.03, "log_loss": 0.5, "accuracy": 0.8},
            {"name": "majority", "accuracy": 0.4},
        ],
        folder="runs/my gestures",
        notes=["class 'wave' is rare"],
    )


@pytest.fixture
def speech_card() -> SpeechCard:
    return SpeechCard(
        title="corpus",
        network="causal-lstm",
        verdict="17.1 % errors in 881 phones.",
        tokens="phones",
        vocabulary=["aa", "h#", "_"],
        speakers=462,
        convention="kaldi",
        scored=881,
        rate=16000,
        live=True,
        facts=[("scored", "881 phones, as 'kaldi'")],
        leaderboard=[
            {"rank": 1, "name": "causal-lstm", "per_no_silence": 0.188, "per": 0.171},
            {"name": "constant", "per": 0.763, "per_no_silence": 0.828},
        ],
        folder="runs/my corpus",
        notes=["read as TIMIT"],
    )


def test_header_is_yaml_that_a_hub_reads(card: ForecastCard) -> None:
    header = model_card(card).split("---\n")[1]
    assert header.startswith("library_name: tidegate\npipeline_tag: time-series-forecasting\ntags:\n- time-series-forecasting\n- lstm\n")
    assert "metrics:\n- mae\n- r2\n" in header
    assert '- "a: b\\"\\u6e29"\n' in model_card(replace(card, network='a: b"温'))


def test_body_has_verdict_scores_and_both_ways_to_use_it(card: ForecastCard) -> None:
    text = model_card(card)
    assert text.index("loses to ridge") < text.index("## What it forecasts") < text.index("## Data") < text.index("## Scores")
    assert "**load**, **温度**, the next 24 steps (a step is hourly)" in text
    assert "| forecaster | mae | r2 |\n|---|---:|---:|\n" in text
    assert "| ridge | 39.50 | 0.9000 |" in text
    assert "| **attention-cnn-lstm** (this model) | 41.23 | – |" in text
    assert "tidegate predict 'runs/my load' --out forecast.csv" in text
    assert 'model = tg.load("runs/my load")' in text
    assert "future values of temp" in text


def test_tables_keep_their_shape_whatever_the_names(card: ForecastCard) -> None:
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


def test_folder_cannot_end_the_code_block(card: ForecastCard) -> None:
    assert model_card(replace(card, folder="x\n```\n# gone")).count("```") == 4


def test_little_known_makes_a_short_card() -> None:
    text = model_card(ForecastCard(title="t", network="lstm", targets=["y"], horizon=1, verdict="v"))
    assert "## Scores" not in text
    assert "## Data" not in text
    assert "the next step, by" in text
    assert "metrics:" not in text


def test_card_of_a_classifier_says_what_it_tells_apart_and_how(class_card: ClassCard) -> None:
    text = model_card(class_card)
    header = text.split("---\n")[1]
    assert header.startswith("library_name: tidegate\npipeline_tag: other\ntags:\n- time-series-classification\n- lstm\n- conv-lstm\n")
    assert header.endswith("metrics:\n- accuracy\n- log_loss\n- ece\n")
    assert r"Sequences of 2 classes: **wave**, **点\|头**, by the network conv-lstm. It reads one channel: x\_1." in text
    assert "| **conv-lstm** (this model) | 0.8000 | 0.5000 | 0.0300 |" in text
    assert "| majority | 0.4000 | – | – |" in text
    assert "tidegate predict 'runs/my gestures' NEW_DATA --out classes.csv\ntidegate evaluate 'runs/my gestures' NEW_DATA\n" in text
    python = ["classes = model.predict(data)", "probabilities = model.predict_proba(data)", "scores = model.evaluate(data)"]
    assert "\n".join(['model = tg.load("runs/my gestures")', *python, "```"]) in text
    for word in ("forecast", "horizon", "interval", "units;", "mape"):
        assert word not in text.lower(), word
    assert text.index("## What it tells apart") < text.index("## Data") < text.index("## Scores") < text.index("## Limits")


def test_many_classes_are_counted_not_listed(class_card: ClassCard) -> None:
    text = model_card(replace(class_card, classes=[f"c{number}" for number in range(30)], channels=list("abc")))
    assert "**c19** and 10 more, by" in text
    assert "It reads 3 channels: a, b, c." in text
    assert "It knows these 30 classes only" in text


def test_card_of_a_recogniser_says_what_it_hears_and_how_it_was_scored(speech_card: SpeechCard) -> None:
    text = model_card(speech_card)
    header = text.split("---\n")[1]
    assert header.startswith("library_name: tidegate\npipeline_tag: automatic-speech-recognition\ntags:\n- ctc\n- lstm\n- causal-lstm\n")
    assert header.endswith("metrics:\n- per\n- per_no_silence\n")
    assert r"Speech as strings of 3 phones: **aa**, **h\#**, **\_**. By the network causal-lstm, which hears while somebody speaks." in text
    assert "On the test part, over 881 phones, scored as 'kaldi'; all are fractions." in text
    assert "| **causal-lstm** (this model) | 0.1710 | 0.1880 |" in text
    called = "'runs/my corpus'"
    commands = [
        f"tidegate predict {called} RECORDING.wav",
        f"tidegate predict {called} RECORDINGS/ --timestamps --out tokens.csv",
        f"tidegate predict {called} - < RECORDING.wav",
        f"tidegate evaluate {called} CORPUS",
    ]
    assert "\n".join(["```sh", *commands, "```"]) in text
    python = ['model = tg.load("runs/my corpus")', 'heard = model.predict(["RECORDING.wav"])', 'scores = model.evaluate("CORPUS")']
    assert "\n".join([*python, "```"]) in text
    assert "brought to 16,000 Hz" in text
    for word in ("forecast", "horizon", "class", "sequences"):
        assert word not in text.lower(), word
    assert text.index("## What it hears") < text.index("## Data") < text.index("## Scores") < text.index("## Limits")


def test_limits_of_a_recogniser(speech_card: SpeechCard) -> None:
    text = model_card(speech_card)
    assert "- It learned from 462 speakers. Voices, accents, languages and microphones that are not" in text
    assert (
        "PER counts phones as the convention 'kaldi' does, over 881 phones." in text and "rates under different ones do not compare" in text
    )
    assert "synthetic speech, its scores say nothing about people" in text
    assert "known voices" not in text
    known = model_card(replace(speech_card, speakers=1, known_voices=True))
    assert "It learned from one speaker. The voices of the test part are in the training part too" in known
    assert "speakers that are not told apart" in model_card(replace(speech_card, speakers=0))


def test_card_of_characters_has_no_convention_and_shows_the_space(speech_card: SpeechCard) -> None:
    some = replace(speech_card, tokens="characters", vocabulary=[" ", *map(chr, range(97, 123))], convention="", live=False)
    text = model_card(some)
    assert "Speech as strings of 27 characters: **␣**, **a**," in text and "and 7 more. By the network" in text
    assert "which hears whole recordings" in text
    assert "PER" not in text and "convention" not in text and "predict 'runs/my corpus' -" not in text
    assert "1 word:" in model_card(replace(some, tokens="words", vocabulary=["yes"]))
