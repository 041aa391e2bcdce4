"""The verdict on a classifier says who is right more often, and when that is noise."""

import numpy as np

from tidegate.evaluate.class_verdict import class_verdict

TRUTH = np.repeat([0, 1], 50)


def wrong_on(places: slice) -> np.ndarray:
    predicted = TRUTH.copy()
    predicted[places] = 1 - predicted[places]
    return predicted


def test_the_words() -> None:
    rivals = {"majority": np.zeros(100, np.int64), "neighbour": wrong_on(slice(10, 15)), "logistic": wrong_on(slice(20, 40))}
    found = class_verdict(TRUTH, wrong_on(slice(0, 3)), rivals)
    assert found.text == (
        "Right on 97 of 100 sequences (97.0 %). No better than neighbour (+2.0 points): within noise on 100 sequences. "
        "Beats logistic by 17.0 points and majority by 47.0 points; each difference is more than noise (McNemar, p < 0.05)."
    )
    assert [row.outcome for row in found.rows] == ["beats", "ties", "beats"]
    assert not found.beats


def test_a_loser_is_told_first() -> None:
    found = class_verdict(TRUTH, wrong_on(slice(0, 30)), {"neighbour": TRUTH})
    assert found.text.startswith(
        "Right on 70 of 100 sequences (70.0 %). LOSES to neighbour by 30.0 points; do not use this model in its place"
    )


def test_classes_that_nobody_can_know_count_as_wrong() -> None:
    truth = np.where(np.arange(100) < 10, -1, TRUTH)
    found = class_verdict(truth, TRUTH, {"neighbour": TRUTH})
    assert found.text.startswith("Right on 90 of 100 sequences (90.0 %). No better than neighbour (+0.0 points)")


def test_nothing_to_score() -> None:
    none = np.zeros(0, np.int64)
    assert class_verdict(none, none, {"majority": none}).text == "There is no sequence to score it on."
