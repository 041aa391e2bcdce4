"""Error rates of recognised token strings, their parts, and the conventions under which phones are scored.

Needs the extra `speech` (rapidfuzz), imported when something is first compared. A string is a sequence of tokens: phones, characters
or words; a text has to be split first.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from tidegate.errors import SettingsError

if TYPE_CHECKING:
    from rapidfuzz.distance import Opcodes

Convention = Literal["kaldi", "speechbrain", "no-silence"]
Kind = Literal["phones", "characters", "words"]
Edit = Literal["equal", "substitute", "delete", "insert"]
SILENCES = frozenset({"sil"})
"""What silence is called once phones are folded."""
NO_FOLDING: Mapping[str, str | None] = MappingProxyType({})
_DRAWS = 10_000
_BLOCK_CELLS = 1 << 20
_TRIED_STRINGS = 50
_SCORED_STRINGS = 200


@dataclass(frozen=True)
class Errors:
    """What turns references into hypotheses with the fewest edits, counted.

    substitutions, deletions, insertions   edits of each kind
    reference                              tokens of the references
    wrong_utterances, utterances           those with an edit, and all

    Added up over utterances, so that `rate` is that of a corpus: edits by reference tokens, not a mean of rates.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference: int = 0
    wrong_utterances: int = 0
    utterances: int = 0

    @property
    def edits(self) -> int:
        """All edits together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits by reference tokens, a fraction that insertions can take above 1; NaN without a reference token."""
        return self.edits / self.reference if self.reference else np.nan

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference + other.reference,
            self.wrong_utterances + other.wrong_utterances,
            self.utterances + other.utterances,
        )


@dataclass(frozen=True)
class TokenErrors:
    """What became of a reference token: count = right + substituted + deleted."""

    count: int
    right: int
    substituted: int
    deleted: int


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """The edits of one utterance. Levenshtein 1966; every edit costs 1.

    Their number is the least possible. How it is shared out among the kinds is not always unique; other tools may differ there.
    Raises ValueError for a text that is not split, SettingsError where rapidfuzz is not installed.
    """
    lengths: Counter[str] = Counter()
    for edit in _opcodes(reference, hypothesis):
        lengths[edit.tag] += max(edit.src_end - edit.src_start, edit.dest_end - edit.dest_start)
    parts = lengths["replace"], lengths["delete"], lengths["insert"]
    return Errors(*parts, reference=len(reference), wrong_utterances=int(any(parts)), utterances=1)


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[Edit, str | None, str | None]]:
    """Reference and hypothesis beside each other: (edit, reference token, hypothesis token), None where there is none.

    Raises ValueError and SettingsError as `count_errors` does.
    """
    rows: list[tuple[Edit, str | None, str | None]] = []
    for edit in _opcodes(reference, hypothesis):
        left, right = reference[edit.src_start : edit.src_end], hypothesis[edit.dest_start : edit.dest_end]
        if edit.tag == "delete":
            rows.extend(("delete", token, None) for token in left)
        elif edit.tag == "insert":
            rows.extend(("insert", None, token) for token in right)
        else:
            name: Edit = "equal" if edit.tag == "equal" else "substitute"
            rows.extend((name, one, other) for one, other in zip(left, right, strict=True))
    return rows


def errors_of_each(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> list[Errors]:
    """`count_errors` of each utterance. Raises ValueError where there are not as many hypotheses as references."""
    return [count_errors(reference, hypothesis) for reference, hypothesis in _pairs(references, hypotheses)]


def total_errors(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> Errors:
    """`count_errors` added up over utterances. Raises ValueError where there are not as many hypotheses as references."""
    return sum(errors_of_each(references, hypotheses), Errors())


def fold(
    tokens: Sequence[str], convention: Convention, mapping: Mapping[str, str | None], silences: Collection[str] = SILENCES
) -> tuple[str, ...]:
    """Phones as a convention scores them; meant for reference and hypothesis alike.

    mapping   a phone's name in the set that is scored, None where it is dropped (q); what it does not hold stays as it is
    silences  names of silence after the mapping

    kaldi        every silence is kept: Kaldi's egs/timit/s5 and ESPnet. 7,215 reference tokens on TIMIT's core test
    speechbrain  a run of silences is one. SpeechBrain does so to the references when it prepares TIMIT, and trains on them; here it
                 is also done to hypotheses, so that a model trained on any set of phones is not fined for what its references lack
    no-silence   silences are left out: pytorch-kaldi, whose rates are therefore lower than others'
    """
    mapped = [mapping.get(token, token) for token in tokens]
    kept = [token for token in mapped if token is not None]
    if convention == "no-silence":
        return tuple(token for token in kept if token not in silences)
    if convention == "speechbrain":
        return tuple(token for place, token in enumerate(kept) if not (place and token in silences and kept[place - 1] in silences))
    if convention != "kaldi":
        raise SettingsError(f"the scoring convention is '{convention}', expected kaldi, speechbrain or no-silence.")
    return tuple(kept)


def speech_scores(
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[Sequence[str]],
    kind: Kind,
    convention: Convention = "kaldi",
    mapping: Mapping[str, str | None] = NO_FOLDING,
    silences: Collection[str] = SILENCES,
) -> dict[str, float]:
    """The error rates of a kind of tokens by name, as fractions; NaN where the references are empty.

    phones      per under the convention, and per_no_silence
    characters  cer, spaces being characters, and wer of the words between them
    words       wer, and sentences_right: the share of utterances without an edit

    convention, mapping and silences are `fold`'s, and matter to phones only. `total_errors` gives the parts of a rate.
    Raises ValueError where there are not as many hypotheses as references.
    """
    if kind == "phones":
        conventions: dict[str, Convention] = {"per": convention, "per_no_silence": "no-silence"}
        folded = {name: _folded((references, hypotheses), rule, mapping, silences) for name, rule in conventions.items()}
        return {name: total_errors(*pair).rate for name, pair in folded.items()}
    whole = total_errors(references, hypotheses)
    if kind == "characters":
        return {"cer": whole.rate, "wer": total_errors([words_of(one) for one in references], [words_of(one) for one in hypotheses]).rate}
    right = 1.0 - whole.wrong_utterances / whole.utterances if whole.utterances else np.nan
    return {"wer": whole.rate, "sentences_right": right}


def words_of(characters: Sequence[str]) -> tuple[str, ...]:
    """The words between spaces of a string of characters."""
    return tuple(word for word in "".join(characters).split(" ") if word)


def by_group(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]], groups: Sequence[str]) -> dict[str, Errors]:
    """Errors of each group of utterances, such as a speaker's, by name. Raises ValueError for lists that are not equally long."""
    if len(groups) != len(references):
        raise ValueError(f"{len(groups)} groups for {len(references)} references, expected one for each")
    found: dict[str, Errors] = dict.fromkeys(sorted(set(groups)), Errors())
    for group, errors in zip(groups, errors_of_each(references, hypotheses), strict=True):
        found[group] += errors
    return found


def by_token(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> dict[str, TokenErrors]:
    """What became of each token that occurs in the references, by name."""
    counts = _edit_counts(references, hypotheses)
    found: dict[str, Counter[str]] = {}
    for (edit, token, _), count in counts.items():
        if token is not None:
            found.setdefault(token, Counter())[edit] += count
    return {
        token: TokenErrors(tally.total(), tally["equal"], tally["substitute"], tally["delete"]) for token, tally in sorted(found.items())
    }


def confusions(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> list[tuple[str, str, int]]:
    """(reference token, hypothesis token, how often one stood for the other), the most frequent first, then by name."""
    counts = _edit_counts(references, hypotheses)
    pairs = [(left, right, count) for (edit, left, right), count in counts.items() if edit == "substitute" and left and right]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def compare(first: Sequence[Errors], second: Sequence[Errors], seed: int, draws: int = _DRAWS) -> float:
    """Two-sided p value of no difference in error rate between two recognisers on the same utterances, by the bootstrap.

    Utterances are drawn with replacement, both recognisers' together, and p is twice the share of draws in which the difference is
    not on the side where it is more often: (k + 1) / (draws + 1), so that it is never 0, and at most 1. Bisani and Ney 2004, 'Bootstrap
    estimates for confidence intervals in ASR performance evaluation', whose probability of improvement it makes two-sided. The same
    for the same seed; NaN without an utterance.
    Raises ValueError where the references are not the same.
    """
    if [errors.reference for errors in first] != [errors.reference for errors in second]:
        raise ValueError("the utterances have other numbers of reference tokens, expected two recognisers on the same references")
    if not first:
        return np.nan
    gaps = np.array([one.edits - other.edits for one, other in zip(first, second, strict=True)], np.int64)
    rng, below, above, left = np.random.default_rng(seed), 0, 0, draws
    while left:
        num = min(left, max(1, _BLOCK_CELLS // len(gaps)))
        sums = gaps[rng.integers(0, len(gaps), (num, len(gaps)))].sum(axis=1)  # by the same reference tokens: the sign is the rates'
        below, above, left = below + int((sums <= 0).sum()), above + int((sums >= 0).sum()), left - num
    return min(1.0, 2.0 * (min(below, above) + 1) / (draws + 1))


def constant_rival(references: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The one string that is least wrong as the answer to everything, roughly: what a recogniser that hears nothing can reach.

    references: those of the training part. The empty string, the commonest token said once, twice ..., and the 50 commonest strings
    are tried on at most 200 references spread evenly; the first of equals wins.
    """
    tokens = Counter(token for reference in references for token in reference)
    strings = Counter(tuple(reference) for reference in references)
    tried: list[tuple[str, ...]] = [()]
    if tokens:
        commonest = _most_common(tokens, 1)[0]
        tried += [(commonest,) * num for num in range(1, 1 + max(list(reference).count(commonest) for reference in references))]
    tried += _most_common(strings, _TRIED_STRINGS)
    scored = references[:: max(1, -(-len(references) // _SCORED_STRINGS))]
    return min(tried, key=lambda string: total_errors(scored, [string] * len(scored)).edits)


def _most_common(counts: Counter, num: int) -> list:
    return sorted(counts, key=lambda name: (-counts[name], name))[:num]


def _folded(
    pair: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    convention: Convention,
    mapping: Mapping[str, str | None],
    silences: Collection[str],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    left, right = ([fold(tokens, convention, mapping, silences) for tokens in side] for side in pair)
    return left, right


def _edit_counts(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> Counter[tuple[Edit, str | None, str | None]]:
    counts: Counter[tuple[Edit, str | None, str | None]] = Counter()
    for reference, hypothesis in _pairs(references, hypotheses):
        counts.update(edits(reference, hypothesis))
    return counts


def _pairs(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], Sequence[str]]]:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references, expected one for each")
    return list(zip(references, hypotheses, strict=True))


def _opcodes(reference: Sequence[str], hypothesis: Sequence[str]) -> "Opcodes":
    for tokens in (reference, hypothesis):
        if isinstance(tokens, str):
            raise ValueError(f"'{tokens[:20]}' is a text, expected a sequence of tokens; split it into words, or list() it for characters")
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise SettingsError(
            "Error rates need rapidfuzz, which is not installed. Install it with: pip install 'tidegate[speech]'."
        ) from None
    return Levenshtein.opcodes(list(reference), list(hypothesis))
