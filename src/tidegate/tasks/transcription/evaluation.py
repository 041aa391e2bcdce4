"""Scores of a recogniser, its rivals and a verdict, as an object that people and programs can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.corpus import Utterance
from tidegate.data.speech.phones import FOLD_39
from tidegate.evaluate.leaderboard import Row, leaderboard
from tidegate.evaluate.speech import (
    NO_FOLDING,
    Convention,
    Errors,
    by_group,
    by_token,
    confusions,
    edits,
    errors_of_each,
    fold,
    speech_scores,
)
from tidegate.evaluate.speech_verdict import speech_verdict

Strings = Sequence[tuple[str, ...]]
MAIN = {"phones": "per", "characters": "cer", "words": "wer"}
"""What the leaderboard is ordered by, for each kind of tokens."""
GREEDY, CONSTANT = "best_path", "constant"
"""The network without beam and language model; the string that is least wrong as the answer to everything."""


@dataclass(frozen=True)
class SpeechEvaluation:
    """metrics of the model; baselines: the same for each rival; verdict in words; table: a row for each, best first.

    errors       substitutions, deletions, insertions, tokens, utterances, wrong_utterances
    convention   how phones are scored; '' for other tokens
    by_speaker   speaker -> rate, tokens
    by_token     token -> count, right, substituted, deleted
    confusions   (said, heard, how often), the most frequent first
    alignments   of each utterance: id, speaker, rate, and rows of (edit, said, heard)
    """

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    table: list[Row]
    beats: bool | None
    comparisons: list[dict[str, Any]]
    errors: dict[str, int]
    convention: str
    by_speaker: dict[str, dict[str, float]]
    by_token: dict[str, dict[str, int]]
    confusions: list[tuple[str, str, int]]
    alignments: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "task": "transcribe",
            "metrics": self.metrics,
            "baselines": self.baselines,
            "verdict": self.verdict,
            "comparisons": self.comparisons,
            "errors": self.errors,
            "convention": self.convention or None,
            "by_speaker": self.by_speaker,
            "by_token": self.by_token,
            "confusions": [list(row) for row in self.confusions[:100]],
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        """For notebooks: the verdict and the table."""
        from tidegate.evaluate.report.tables import verdict_and_scores

        return verdict_and_scores(self.verdict, self.table)


@dataclass(frozen=True)
class Scoring:
    """How strings of tokens are compared: kind of tokens, convention and map of phones (NO_FOLDING: as they are labelled)."""

    kind: str
    convention: Convention
    mapping: Mapping[str, str | None]

    @staticmethod
    def of(config: TranscribeConfig, corpus_kind: str) -> "Scoring":
        """As the settings of a model say. Phones are scored in the 39 of TIMIT where the model, or the corpus that it is scored on, is of
        TIMIT, else as they are labelled."""
        assert config.data.tokens is not None
        mapping = FOLD_39 if "timit" in (config.data.kind, corpus_kind) else NO_FOLDING
        return Scoring(config.data.tokens, config.decoding.convention, mapping)

    def scores(self, references: Strings, heard: Strings) -> dict[str, float]:
        """Rates by name."""
        return speech_scores(references, heard, self.kind, self.convention, self.mapping)  # type: ignore[arg-type]

    def compared(self, strings: Strings) -> list[tuple[str, ...]]:
        """Strings as they are compared."""
        return list(strings) if self.kind != "phones" else [fold(one, self.convention, self.mapping) for one in strings]


def evaluate_speech(
    name: str,
    scoring: Scoring,
    utterances: Sequence[Utterance],
    own: Strings,
    rivals: Mapping[str, Strings],
    notes: Sequence[str],
) -> SpeechEvaluation:
    """Scores of the model and its rivals from the strings that they heard in these utterances."""
    references = [it.tokens for it in utterances]
    metrics = scoring.scores(references, own)
    baselines = {rival: scoring.scores(references, heard) for rival, heard in rivals.items()}
    truth, said = scoring.compared(references), scoring.compared(own)
    errors = errors_of_each(truth, said)
    others = {rival: errors_of_each(truth, scoring.compared(heard)) for rival, heard in rivals.items()}
    main, convention = MAIN[scoring.kind], scoring.convention if scoring.kind == "phones" else ""
    judged = speech_verdict(errors, others, main, convention)
    total = sum(errors, Errors())
    speakers = by_group(truth, said, [it.speaker or "unknown" for it in utterances])
    tokens = by_token(truth, said)
    return SpeechEvaluation(
        metrics=metrics,
        baselines=baselines,
        verdict=judged.text,
        table=leaderboard({name: metrics, **baselines}, main),
        beats=True if judged.beats else False if judged.loses else None,
        comparisons=judged.table(),
        errors={
            "substitutions": total.substitutions,
            "deletions": total.deletions,
            "insertions": total.insertions,
            "tokens": total.reference,
            "utterances": total.utterances,
            "wrong_utterances": total.wrong_utterances,
        },
        convention=convention,
        by_speaker={
            speaker: {"rate": one.rate, "tokens": one.reference, "utterances": one.utterances} for speaker, one in speakers.items()
        },
        by_token={
            token: {"count": one.count, "right": one.right, "substituted": one.substituted, "deleted": one.deleted}
            for token, one in tokens.items()
        },
        confusions=confusions(truth, said),
        alignments=[
            {"id": it.id, "speaker": it.speaker, "rate": one.rate, "rows": edits(left, right)}
            for it, one, left, right in zip(utterances, errors, truth, said, strict=True)
        ],
        notes=list(notes),
    )


def written(tokens: Sequence[str], kind: str) -> str:
    """A string of tokens as people write it."""
    return "".join(tokens).strip() if kind == "characters" else " ".join(tokens)
