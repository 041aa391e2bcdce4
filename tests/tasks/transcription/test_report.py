"""What the report and the card of a recogniser are made of."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.transcription.tiny import config, whistle, write_wav
from tidegate.data.speech.corpus import Corpus, Utterance
from tidegate.decode.ngram import NGram
from tidegate.tasks.transcription.evaluation import Scoring, SpeechEvaluation, evaluate_speech
from tidegate.tasks.transcription.fitting import new_network, shape_of
from tidegate.tasks.transcription.material import SpeechMaterial, complete, gather_speech
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.report import decoding, extremes, facts, hearing, model_card_of, pictured, report_page, spans, transcripts

FILE_RATE = 16_000
"""Of the recordings; the network hears 8,000."""
SAID = {"train": ("h# a <b> h#", "h# a h#"), "dev": ("h# a h#",), "test": ("h# a <b> h#", "h# a h#", "h# <b> a h#")}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> SpeechMaterial:
    """Phones of a corpus like TIMIT, by two speakers; each phone lasts a tenth of a second."""
    root, utterances = tmp_path_factory.mktemp("corpora") / "little", []
    for part, strings in SAID.items():
        for number, said in enumerate(strings):
            tokens, name = tuple(said.split()), f"{part}/{'ann' if number % 2 == 0 else 'bob'}/{number}"
            audio = write_wav(root / f"{name}.wav", whistle("a" * len(tokens), number, rate=FILE_RATE), FILE_RATE)
            cuts = tuple((1600 * place, 1600 * (place + 1)) for place in range(len(tokens)))
            utterances.append(Utterance(name, audio, tokens, f"Words {number}.", name.split("/")[1], part, cuts))  # pyright: ignore[reportArgumentType]
    corpus = Corpus(root, "timit", "phones", tuple(sorted(utterances, key=lambda it: it.id)), (), ("a note of the corpus",))
    asked = config(data={"rate": 8000}, decoding={"beam": 1}, network={"pooling": 2})
    return gather_speech(corpus, complete(asked, corpus, 1))


@pytest.fixture(scope="module")
def model(material: SpeechMaterial) -> SpeechModel:
    network = new_network(material, material.config).recogniser
    return SpeechModel(material.config, shape_of(material), material.vocabulary, material.normaliser, network, 0)


@pytest.fixture(scope="module")
def log_probs(material: SpeechMaterial) -> list[np.ndarray]:
    """As if the network heard all that is said, a step each from the second on, but no `<b>` in the first utterance."""
    found = []
    for place, number in enumerate(material.numbers("test")):
        steps = len(material.frames[0][int(number)]) // 2
        probabilities = np.full((steps, len(material.vocabulary) + 1), 0.01)
        heard = [token for token in material.targets[number] if place or material.vocabulary[token - 1] != "<b>"]
        symbols = np.zeros(steps, np.int64)
        symbols[2 : 2 + 2 * len(heard) : 2] = heard
        probabilities[np.arange(steps), symbols] = 1 - 0.01 * len(material.vocabulary)
        found.append(np.log(probabilities).astype(np.float32))
    return found


@pytest.fixture(scope="module")
def scores(material: SpeechMaterial, model: SpeechModel, log_probs: list[np.ndarray]) -> SpeechEvaluation:
    own = [model.named(model.search(one)) for one in log_probs]
    utterances = material.corpus.part("test")
    return evaluate_speech(
        "blstm", Scoring.of(model.config, "timit"), utterances, own, {"constant": [("h#",)] * 3}, ["a note of the scores"]
    )


def history(count: int) -> list:
    return [{"epoch": epoch, "train_loss": 1.0, "validation_loss": 1 / (1 + epoch), "best": True} for epoch in range(count)]


def page_of(material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation, log_probs: list[np.ndarray]) -> str:
    return report_page(material, model, scores, log_probs, history(4), "runs/my run")


def test_page_shows_what_was_given(
    material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation, log_probs: list[np.ndarray]
) -> None:
    page = page_of(material, model, scores, log_probs)
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        *("Scores", "Training", "Speakers", "Errors by token", "Said and heard", "What the network hears", "Notes and settings"),
    ]
    assert "<h1>little: speech to phones</h1>" in page
    assert "the lowest error rate on the development part is 25\u00a0%, after epoch 4" in page
    assert "tidegate predict &#x27;runs/my run&#x27; RECORDING.wav" in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "a note of the corpus" in page and "a note of the scores" in page
    assert page.count("<image ") == 2
    assert "test/ann/0, 25 % errors: one that is heard badly" in page


def test_page_does_without_what_is_not_known(
    material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation, log_probs: list[np.ndarray]
) -> None:
    unknown = tuple(replace(it, speaker="", text="", spans=None) for it in material.corpus.utterances)
    bare = replace(material, corpus=replace(material.corpus, utterances=unknown))
    page = page_of(bare, model, replace(scores, by_speaker={"unknown": scores.by_speaker["ann"]}), log_probs)
    assert "Speakers</h2>" not in page
    assert "Said: h# a &lt;b&gt; h#" in page and 'aria-label="said:' not in page
    assert dict(facts(bare, model, scores))["speakers of each"] == "not known"
    assert "speakers that are not told apart" in model_card_of(Path("run"), bare, model, scores)


def test_facts(material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation) -> None:
    found = dict(facts(material, model, scores))
    assert found["corpus"] == "little (timit), recordings at 8,000 Hz"
    assert found["train, dev, test"] == "2 / 1 / 3 utterances"
    assert found["speakers of each"] == "2 / 1 / 2" and found["test voices"] == "all in training too"
    assert found["tokens"] == "3 different phones"
    assert found["scored"] == f"{scores.errors['tokens']} phones, as 'kaldi'"
    assert found["output"] == "a step each 20 ms"
    seconds = sum(len(material.frames[0][int(number)]) for number in material.numbers("train")) * 0.01
    assert found["length of each"].split(" / ")[0] == f"{seconds / 60:.2g}" and found["length of each"].endswith(" min")
    renamed = [replace(it, speaker=it.speaker if it.part == "test" else "cy") for it in material.corpus.utterances]
    other = replace(material, corpus=replace(material.corpus, utterances=tuple(renamed)))
    assert dict(facts(other, model, scores))["test voices"] == "none in training"


def test_decoding_is_said_in_words(model: SpeechModel) -> None:
    assert decoding(model) == "best path"
    settings = model.config.model_copy(update={"decoding": model.config.decoding.model_copy(update={"beam": 8, "order": 2})})
    beam = replace(model, config=settings, lm=NGram.train([[1, 2]], 3, 2), lm_weight=0.3, token_bonus=-0.5)
    assert decoding(beam) == "beam 8, 2-gram of the training transcripts (weight 0.3, −0.5 a token)"


def test_transcripts_are_those_of_the_extremes(material: SpeechMaterial, scores: SpeechEvaluation) -> None:
    found = transcripts(material, scores)
    assert found[0]["title"] == "Worst: test/ann/0"
    assert found[0]["rate"] == 0.25 and found[0]["text"] == "Words 0."
    assert ("delete", "<b>", None) in found[0]["rows"]
    assert len({one["title"].split(": ")[1] for one in found}) == len(found) == 3


@pytest.mark.parametrize(
    ("rates", "lengths", "expected"),
    [
        ([], [], []),
        ([float("nan")], [0], []),
        ([0.5], [4], [("worst", 0)]),
        ([0.1, 0.9, 0.5, 0.3, 0.7, 0.2], [9] * 6, [("worst", 1), ("worst", 4), ("middle", 2), ("middle", 3), ("best", 0), ("best", 5)]),
        ([0.0, 0.0, 0.0, 0.0, 1.0], [3, 9, 5, 4, 1], [("worst", 4), ("best", 1), ("best", 2)]),
        ([0.0], [4], [("best", 0)]),
    ],
)
def test_extremes_have_no_utterance_twice_and_prefer_long_ones(rates: list, lengths: list, expected: list) -> None:
    assert extremes(rates, lengths) == expected


def test_pictures_are_of_short_utterances_where_there_are_some() -> None:
    rates, lengths = np.array([0.9, 0.3, 0.5, 0.1, np.nan]), np.array([30.0, 4.0, 3.0, 2.0, 1.0])
    assert pictured(rates, lengths, 0.3) == [1, 2]
    assert pictured(rates[:1], lengths[:1], 0.3) == [0]
    assert pictured(rates[4:], lengths[4:], 0.3) == []
    assert pictured(np.array([0.5, 0.5]), np.array([2.0, 3.0]), 0.1) == [1], "of equals the longer, once"


def test_hearing_places_tokens_at_their_steps(material: SpeechMaterial, model: SpeechModel, log_probs: list[np.ndarray]) -> None:
    number = int(material.numbers("test")[1])
    found = hearing(material, model, number, log_probs[1], "title")
    assert [one["token"] for one in found["tokens"]] == ["h#", "<b>", "a", "h#"]
    assert [one["begin"] for one in found["tokens"]] == pytest.approx([0.04, 0.08, 0.12, 0.16])
    assert found["step"] == pytest.approx(0.02) and found["hop"] == pytest.approx(0.01)
    assert found["curves"]["a"][6] == pytest.approx(0.97, abs=1e-5) and found["curves"]["a"][4] == pytest.approx(0.01, abs=1e-5)
    assert len(found["energies"]) == len(material.frames[0][number]) and len(found["energies"][0]) == 16
    assert found["text"] == "“Words 2.”" and found["high"] == 4000


def test_spans_are_in_seconds_at_the_rate_of_the_file(material: SpeechMaterial) -> None:
    it = material.corpus.part("test")[0]
    assert [(one["token"], one["begin"], one["end"]) for one in spans(it)][:2] == [("h#", 0.0, 0.1), ("a", 0.1, 0.2)]
    assert spans(replace(it, spans=None)) == []
    assert spans(replace(it, audio=it.audio.with_name("gone.wav"))) == []


def test_long_utterance_is_cut(material: SpeechMaterial, model: SpeechModel, log_probs: list[np.ndarray]) -> None:
    number = int(material.numbers("test")[0])
    frames = replace(
        material.frames[0], values=np.zeros((1500, 16), np.float32), offsets=np.r_[np.zeros(number + 1), [1500] * 9].astype(np.int64)
    )
    long = replace(material, frames=(frames,))
    probabilities = np.full((750, 4), np.log(0.1), np.float32)
    probabilities[:, 0] = np.log(0.7)
    probabilities[[100, 700], [0, 0]], probabilities[[100, 700], [1, 2]] = np.log(0.1), np.log(0.7)
    found = hearing(long, model, number, probabilities, "title")
    assert len(found["energies"]) == 1000 and len(found["blank"]) == 500 and len(found["tokens"]) == 1
    assert found["text"].endswith(" The first 10 of 15 s.")


def test_card(material: SpeechMaterial, model: SpeechModel, scores: SpeechEvaluation) -> None:
    text = model_card_of(Path("runs/my run"), material, model, scores)
    assert "# my run\n" in text and "a note of the scores" in text
    assert r"**&lt;b&gt;**, **a**, **h\#**" in text
    assert "It learned from 2 speakers. The voices of the test part are in the training part too" in text
    assert "as the convention 'kaldi' does, over 11 phones." in text
