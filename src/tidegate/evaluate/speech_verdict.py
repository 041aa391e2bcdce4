"""The verdict on a recogniser: how much it gets wrong, which rivals it beats, by how much, and whether that is more than noise."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from tidegate.evaluate.speech import Errors, compare
from tidegate.evaluate.verdict import SIGNIFICANCE

Outcome = Literal["beats", "ties", "loses"]
SEED = 0
"""Of the bootstrap: the same utterances give the same verdict."""


@dataclass(frozen=True)
class SpeechComparison:
    """A recogniser beside one rival on the same utterances.

    model, baseline    error rate of each, a fraction
    difference_points  100 (baseline - model): positive is better
    p                  of the bootstrap over utterances (Bisani and Ney 2004)
    """

    rival: str
    outcome: Outcome
    model: float
    baseline: float
    difference_points: float
    p: float
    num: int
    metric: str


@dataclass(frozen=True)
class SpeechVerdict:
    """The words, and the rows behind them."""

    text: str
    rows: tuple[SpeechComparison, ...]

    @property
    def beats(self) -> bool:
        """Whether every rival is beaten by more than noise."""
        return bool(self.rows) and all(row.outcome == "beats" for row in self.rows)

    @property
    def loses(self) -> bool:
        """Whether a rival is better by more than noise."""
        return any(row.outcome == "loses" for row in self.rows)

    def table(self) -> list[dict[str, str | float | int]]:
        """The rows as plain values."""
        return [asdict(row) for row in self.rows]


def speech_verdict(own: Sequence[Errors], rivals: Mapping[str, Sequence[Errors]], metric: str, scored_as: str = "") -> SpeechVerdict:
    """Compare the errors of a recogniser with those of its rivals on the same utterances.

    metric     'per', 'cer' or 'wer'
    scored_as  the convention, of phones
    """
    rows = tuple(_compare(name, own, other, metric) for name, other in rivals.items())
    return SpeechVerdict(_words(rows, own, metric, scored_as), rows)


def _compare(name: str, own: Sequence[Errors], other: Sequence[Errors], metric: str) -> SpeechComparison:
    rate, reference = (sum(errors, Errors()).rate for errors in (own, other))
    p = compare(own, other, SEED)
    outcome: Outcome = "ties"
    if p < SIGNIFICANCE:
        outcome = "beats" if rate < reference else "loses"
    return SpeechComparison(name, outcome, rate, reference, 100.0 * (reference - rate), p, len(own), metric)


UNITS = {"per": "phones", "cer": "characters", "wer": "words"}


def _words(rows: Sequence[SpeechComparison], own: Sequence[Errors], metric: str, scored_as: str) -> str:
    total = sum(own, Errors())
    if not total.reference:
        return "There is no transcript to score it on."
    parts = [(total.substitutions, "substituted"), (total.deletions, "deleted"), (total.insertions, "inserted")]
    each = ", ".join(f"{100.0 * count / total.reference:.1f} % {name}" for count, name in parts)
    convention = f", scored as '{scored_as}'" if scored_as else ""
    sentences = [
        f"{100.0 * total.rate:.1f} % errors in {total.reference:,} {UNITS[metric]} of {total.utterances:,} utterances ({each}{convention})."
    ]
    ordered = sorted(rows, key=lambda row: row.difference_points)
    groups = {outcome: [row for row in ordered if row.outcome == outcome] for outcome in ("loses", "ties", "beats")}
    if groups["loses"]:
        sentences.append(f"LOSES to {_listed(groups['loses'])}; do not use this model in {_its(groups['loses'])} place.")
    if groups["ties"]:
        signed = _joined([f"{row.rival} ({row.difference_points:+.1f} points)" for row in groups["ties"]])
        sentences.append(f"No better than {signed}: within noise on {len(own):,} utterances.")
    if groups["beats"]:
        each = "each difference is" if len(groups["beats"]) > 1 else "the difference is"
        sentences.append(f"Beats {_listed(groups['beats'])}; {each} more than noise (bootstrap over utterances, p < {SIGNIFICANCE:g}).")
    return " ".join(sentences)


def _its(rows: Sequence[SpeechComparison]) -> str:
    return "its" if len(rows) == 1 else "their"


def _listed(rows: Sequence[SpeechComparison]) -> str:
    return _joined([f"{row.rival} by {abs(row.difference_points):.1f} points" for row in rows])


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
