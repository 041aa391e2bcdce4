"""The verdict on a recogniser: how much it gets wrong, which rivals it beats, by how much, and whether that is more than noise."""

from collections.abc import Mapping, Sequence

from tidegate.evaluate.points import PointsComparison, PointsVerdict, outcome_of, sentences
from tidegate.evaluate.speech import Errors, compare

SEED = 0
"""Of the bootstrap: the same utterances give the same verdict."""
UNITS = {"per": "phones", "cer": "characters", "wer": "words"}


def speech_verdict(own: Sequence[Errors], rivals: Mapping[str, Sequence[Errors]], metric: str, scored_as: str = "") -> PointsVerdict:
    """Compare the errors of a recogniser with those of its rivals on the same utterances, by the bootstrap over utterances (Bisani and Ney
    2004).

    metric     'per', 'cer' or 'wer'
    scored_as  the convention, of phones
    """
    rows = tuple(_compare(name, own, other, metric) for name, other in rivals.items())
    return PointsVerdict(_words(rows, own, metric, scored_as), rows)


def _compare(name: str, own: Sequence[Errors], other: Sequence[Errors], metric: str) -> PointsComparison:
    rate, reference = (sum(errors, Errors()).rate for errors in (own, other))
    p = compare(own, other, SEED)
    return PointsComparison(name, outcome_of(p, rate < reference), rate, reference, 100.0 * (reference - rate), p, len(own), metric)


def _words(rows: Sequence[PointsComparison], own: Sequence[Errors], metric: str, scored_as: str) -> str:
    total = sum(own, Errors())
    if not total.reference:
        return "There is no transcript to score it on."
    parts = [(total.substitutions, "substituted"), (total.deletions, "deleted"), (total.insertions, "inserted")]
    each = ", ".join(f"{100.0 * count / total.reference:.1f} % {name}" for count, name in parts)
    convention = f", scored as '{scored_as}'" if scored_as else ""
    heard = f"{100.0 * total.rate:.1f} % errors in {total.reference:,} {UNITS[metric]} of {total.utterances:,} utterances"
    return " ".join([f"{heard} ({each}{convention}).", *sentences(rows, f"{len(own):,} utterances", "bootstrap over utterances")])
