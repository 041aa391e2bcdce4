"""The verdict on a recogniser: its numbers, its words, and that noise is called noise."""

import pytest

from tidegate.evaluate.speech import Errors
from tidegate.evaluate.speech_verdict import speech_verdict

GOOD = [Errors(substitutions=1, reference=10, wrong_utterances=1, utterances=1)] * 40
BAD = [Errors(substitutions=2, deletions=1, insertions=1, reference=10, wrong_utterances=1, utterances=1)] * 40


def test_a_rival_that_is_beaten() -> None:
    verdict = speech_verdict(GOOD, {"constant": BAD}, "per", "kaldi")
    (row,) = verdict.rows
    assert (row.outcome, row.model, row.baseline, row.num, row.metric) == ("beats", 0.1, 0.4, 40, "per")
    assert row.difference_points == pytest.approx(30.0) and row.p < 0.001
    assert verdict.beats and not verdict.loses
    assert verdict.text == (
        "10.0 % errors in 400 phones of 40 utterances (10.0 % substituted, 0.0 % deleted, 0.0 % inserted, scored as 'kaldi'). "
        "Beats constant by 30.0 points; the difference is more than noise (bootstrap over utterances, p < 0.05)."
    )


def test_a_rival_that_is_better_comes_first() -> None:
    verdict = speech_verdict(BAD, {"constant": BAD, "best_path": GOOD}, "wer")
    assert verdict.loses and not verdict.beats
    assert "40.0 % errors in 400 words" in verdict.text and "scored as" not in verdict.text
    assert verdict.text.index("LOSES to best_path by 30.0 points; do not use this model in its place.") < verdict.text.index(
        "No better than"
    )
    assert "No better than constant (+0.0 points): within noise on 40 utterances." in verdict.text


def test_nothing_to_score() -> None:
    assert speech_verdict([], {"constant": []}, "cer").text == "There is no transcript to score it on."
    assert speech_verdict([Errors(utterances=1)], {}, "cer").text == "There is no transcript to score it on."
