"""Scores of class probabilities beside the true classes, and the calibration of the probabilities.

Letters: n sequences, K classes, M bins. Classes are numbers from 0 to K - 1; a truth of -1 is a class that training never saw.
Such a sequence counts: it is wrong whatever is predicted.
"""

import math
from collections.abc import Callable

import numpy as np

PROBABILITY_FLOOR = float(np.finfo(np.float32).eps)
"""What the log loss takes for a probability below it, and for that of an unknown class: 2^-23, 15.9 nats.

Networks give float32, which cannot tell 1 - p from 1 much further down; scikit-learn's log_loss has the same floor for float32.
One floor for all, so that a rival in float64 is not fined harder, and an unknown class costs what a certain mistake costs.
"""
BINS = 15
"""Guo et al. 2017, 'On calibration of modern neural networks', section 5."""
_PRIOR_WEIGHT = 1.0
"""How many held-out sequences the prior of the temperature is worth."""
_HALVINGS = 60


def class_scores(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """All scores of class probabilities by name; NaN where nothing can be scored.

    truth int64 [n], -1 an unknown class; probabilities [n, K]. The predicted class is the likeliest, the first of equals.

    accuracy            share of sequences whose class is predicted; unknown classes count as wrong
    balanced_accuracy   mean recall of the classes that occur in the truth, unknown ones together as one (Brodersen et al. 2010, 2.1)
    f1_macro            mean F1 of the classes that occur in the truth or are predicted, unknown ones together as one
                        (Opitz and Burst 2019, 'Macro F1 and macro F1', eq. 2)
    log_loss            mean -log p of the true class in nats, p at least `PROBABILITY_FLOOR`, which also stands for unknown classes
    roc_auc             area under the ROC curve (Hanley and McNeil 1982) of class 1 for K = 2, else the mean over each class that
                        occurs against the rest; sequences of unknown class are left out, for nothing ranks them
    ece                 expected calibration error over 15 equal bins of the top probability (Guo et al. 2017, eq. 3); unknown
                        classes count as wrong

    Raises ValueError for shapes that do not fit and rows that are no probabilities.
    """
    probabilities = _check(truth, probabilities)
    predicted = probabilities.argmax(axis=1)
    right = predicted == truth
    by_class = _counted(truth, predicted, probabilities.shape[1])
    return {
        "accuracy": _mean(right.astype(np.float64)),
        "balanced_accuracy": _mean(by_class["recall"]),
        "f1_macro": _mean(by_class["f1"]),
        "log_loss": _log_loss(truth, probabilities),
        "roc_auc": _roc_auc(truth, probabilities),
        "ece": _calibration_error(right, probabilities.max(axis=1)),
    }


def confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class (row) was predicted as each (column), int64 [K, K]; unknown classes have no row and are left out."""
    known = truth >= 0
    cells = truth[known].astype(np.int64) * num_classes + predicted[known]
    return np.bincount(cells, minlength=num_classes * num_classes).reshape(num_classes, num_classes)


def per_class(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Precision, recall, F1 (float64 [K], NaN where undefined) and support (int64 [K]) of each class.

    truth int64 [n], -1 an unknown class: a class predicted for it loses precision. Precision is undefined for a class that is never
    predicted, recall for one that never occurs, F1 = 2 TP / (2 TP + FP + FN) for one that does neither. Van Rijsbergen 1979, 7.
    """
    return {name: values[:num_classes] for name, values in _counted(truth, predicted, num_classes).items()}


def compare_classifiers(truth: np.ndarray, predicted_a: np.ndarray, predicted_b: np.ndarray) -> float:
    """Two-sided p value of McNemar's exact test: are two classifiers right equally often on the same sequences?

    Of the sequences that just one of them gets right, each is as likely to be either's: twice the smaller binomial tail, at most 1;
    1 where there are none. McNemar 1947; Dietterich 1998, 'Approximate statistical tests', 3.1, there as chi-squared.
    """
    right_a, right_b = _right(truth, predicted_a), _right(truth, predicted_b)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    num, fewer = only_a + only_b, min(only_a, only_b)
    steps = np.arange(fewer, dtype=np.float64)
    log_choices = np.concatenate([[0.0], np.cumsum(np.log((num - steps) / (steps + 1.0)))])
    return float(min(1.0, 2.0 * np.exp(log_choices - num * math.log(2.0)).sum()))


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """The bin of each top probability [n], int64 from 0 to BINS - 1: equally wide, and a bin holds its upper edge."""
    return np.searchsorted(np.linspace(0.0, 1.0, BINS + 1)[1:-1], confidence, side="left")


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(z_k) / sum exp(z_j) over the last axis, float64; the largest logit is taken off first, so that nothing overflows."""
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities softmax(z / T), float64 [n, K]; the likeliest class stays the likeliest. Guo et al. 2017, eq. 9."""
    if not temperature > 0.0:
        raise ValueError(f"the temperature is {temperature}, expected more than 0; take that of fit_temperature")
    return softmax(np.asarray(logits, np.float64) / temperature)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature T > 0 that makes held-out sequences likeliest under softmax(z / T). Guo et al. 2017, section 4.2.

    logits [n, K], finite, of sequences that the network was not trained on; truth int64 [n], those of unknown class are left out.
    A held-out part without a mistake has no maximum: its likelihood rises on and on as T falls to 0. So 1 / T has a prior as
    heavy as one sequence, the Gamma(2, 1) distribution with its mode at T = 1; over 1000 sequences it does not show. The negative
    log posterior is convex in 1 / T, and bisection finds where it is least. Without a sequence T is 1.
    """
    logits = np.asarray(logits, np.float64)
    _check_shapes(truth, logits)
    if not np.isfinite(logits).all():
        raise ValueError("a logit is NaN or infinite, expected finite numbers; did the training diverge?")
    known = truth >= 0
    logits = logits[known]
    shifted = logits - logits.max(axis=1, keepdims=True)
    true = np.take_along_axis(shifted, truth[known, None], axis=1)[:, 0]

    def rise(log_sharpness: float) -> float:
        """Derivative of the negative log posterior by log b, b = 1 / T: b (sum E_p z - z_true) + weight (b - 1)."""
        sharpness = math.exp(log_sharpness)
        expected = (softmax(sharpness * shifted) * shifted).sum(axis=1)
        return sharpness * float((expected - true).sum()) + _PRIOR_WEIGHT * (sharpness - 1.0)

    return math.exp(-_bisect(rise))


def _bisect(rise: Callable[[float], float]) -> float:
    """Where a function that is negative far to the left and positive far to the right crosses zero."""
    low, high = -1.0, 1.0
    while rise(low) > 0.0:
        low *= 2.0
    while rise(high) < 0.0:
        high *= 2.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if rise(middle) > 0.0:
            high = middle
        else:
            low = middle
    return (low + high) / 2.0


def _counted(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """`per_class` with a further class at the end, [K + 1], for all sequences of unknown class; it is never predicted."""
    table = confusion(np.where(truth < 0, num_classes, truth), predicted, num_classes + 1)
    hits, given, support = np.diag(table).astype(np.float64), table.sum(axis=0), table.sum(axis=1)
    f1 = _ratio(2.0 * hits, given + support)
    return {"precision": _ratio(hits, given), "recall": _ratio(hits, support), "f1": f1, "support": support}


def _log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    of_truth = np.take_along_axis(probabilities, np.maximum(truth, 0)[:, None], axis=1)[:, 0]
    of_truth = np.where(truth < 0, 0.0, of_truth)
    return _mean(-np.log(np.clip(of_truth, PROBABILITY_FLOOR, 1.0)))


def _roc_auc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    known = truth >= 0
    truth, probabilities = truth[known], probabilities[known]
    ranked = (1,) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    return _mean(np.array([_area(truth == number, probabilities[:, number]) for number in ranked]))


def _area(positive: np.ndarray, score: np.ndarray) -> float:
    """Share of pairs that the score puts in order, ties as a half: the Mann-Whitney statistic of mid-ranks; NaN without a pair."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    num_positive = int(positive.sum())
    pairs = num_positive * (len(positive) - num_positive)
    return (float(ranks[positive].sum()) - num_positive * (num_positive + 1) / 2.0) / pairs if pairs else math.nan


def _calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """sum over bins of |sum right - sum confidence| / n; a bin holds its upper edge."""
    gaps = np.bincount(confidence_bins(confidence), weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right)) if len(right) else math.nan


def _check(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The probabilities in float64, if they are some."""
    probabilities = np.asarray(probabilities, np.float64)
    _check_shapes(truth, probabilities)
    sums = probabilities.sum(axis=1)
    wrong = ~((np.abs(sums - 1.0) <= 1e-3) & (probabilities >= 0.0).all(axis=1))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"row {row} of the probabilities sums to {sums[row]:g}, expected 1 and no number below 0; are these logits?")
    return probabilities


def _check_shapes(truth: np.ndarray, table: np.ndarray) -> None:
    if table.ndim != 2 or truth.shape != table.shape[:1]:
        raise ValueError(f"truth has shape {truth.shape} beside {table.shape}, expected [n] and [n, K]")
    if len(truth) and not -1 <= truth.min() <= truth.max() < table.shape[1]:
        raise ValueError(f"the classes go from {truth.min()} to {truth.max()}, expected -1 (unknown) to {table.shape[1] - 1}")


def _right(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    if truth.shape != predicted.shape:
        raise ValueError(f"predicted has shape {predicted.shape}, expected {truth.shape} as the truth")
    return (truth == predicted) & (truth >= 0)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN where nothing is left."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else math.nan
