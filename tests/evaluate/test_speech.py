"""Error rates of token strings: jiwer, a table of distances and counting by hand as oracles."""

import math
import sys
from collections import Counter

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tidegate.errors import SettingsError
from tidegate.evaluate.speech import (
    Convention,
    Errors,
    TokenErrors,
    by_group,
    by_token,
    compare,
    confusions,
    constant_rival,
    count_errors,
    edits,
    errors_of_each,
    fold,
    speech_scores,
    total_errors,
    words_of,
)

STRINGS = st.lists(st.sampled_from(["aa", "b", "sil", "b b"]), max_size=8)
MAP = {"q": None, "h#": "sil", "pcl": "sil", "ix": "ih", "ao": "aa", "pau": "sil"}


def _distance(left: list[str], right: list[str]) -> int:
    """Wagner and Fischer 1974."""
    row = list(range(len(right) + 1))
    for number, one in enumerate(left, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(right, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (one != other))
    return row[-1]


def _corpus(seed: int, num: int = 60) -> tuple[list[list[str]], list[list[str]]]:
    rng = np.random.default_rng(seed)
    names = ["aa", "b", "k", "sil", "t"]
    references = [[names[token] for token in rng.integers(0, 5, rng.integers(1, 12))] for _ in range(num)]
    hypotheses = []
    for reference in references:
        heard = [token for token in reference if rng.random() > 0.1]
        heard = [names[rng.integers(0, 5)] if rng.random() < 0.2 else token for token in heard]
        hypotheses.append(heard + ["t"] * int(rng.random() < 0.2))
    return references, hypotheses


@settings(deadline=None, max_examples=150)
@given(reference=STRINGS, hypothesis=STRINGS)
def test_edits_turn_one_into_the_other_in_the_fewest_steps(reference: list[str], hypothesis: list[str]) -> None:
    rows = edits(reference, hypothesis)
    assert [left for _, left, _ in rows if left is not None] == reference
    assert [right for _, _, right in rows if right is not None] == hypothesis
    for edit, left, right in rows:
        expected = "insert" if left is None else "delete" if right is None else "equal" if left == right else "substitute"
        assert edit == expected
    tally = Counter(edit for edit, _, _ in rows)
    found = count_errors(reference, hypothesis)
    assert (found.substitutions, found.deletions, found.insertions) == (tally["substitute"], tally["delete"], tally["insert"])
    assert found.edits == _distance(reference, hypothesis)
    assert (found.reference, found.wrong_utterances, found.utterances) == (len(reference), int(reference != hypothesis), 1)


def test_equals_jiwer() -> None:
    references, hypotheses = _corpus(0)
    ours = total_errors(references, hypotheses)
    theirs = jiwer.process_words([" ".join(one) for one in references], [" ".join(one) for one in hypotheses])
    assert (ours.substitutions, ours.deletions, ours.insertions) == (theirs.substitutions, theirs.deletions, theirs.insertions)
    assert ours.rate == theirs.wer
    assert speech_scores(references, hypotheses, "words")["wer"] == theirs.wer
    assert sum(errors_of_each(references, hypotheses), Errors()) == ours


def test_characters_equal_jiwer() -> None:
    texts = ["the cat sat", "a dog", "on the mat"], ["the cats at", "a dog ", "on mat"]
    references, hypotheses = ([list(text) for text in side] for side in texts)
    scores = speech_scores(references, hypotheses, "characters")
    assert list(scores) == ["cer", "wer"]
    assert scores["wer"] == pytest.approx(jiwer.wer(*texts))
    # jiwer strips the space at the end, which is a character here
    assert scores["cer"] == pytest.approx((jiwer.cer(*texts) * 26 + 1) / 26)
    assert words_of(list(" two  words ")) == ("two", "words")


def test_rates_by_hand() -> None:
    """One substitution, one deletion and two insertions on five tokens; the second utterance is right, the third has no reference."""
    references = [["a", "b", "c"], ["a", "a"], []]
    hypotheses = [["a", "x"], ["a", "a"], ["y", "y"]]
    found = total_errors(references, hypotheses)
    assert found == Errors(1, 1, 2, reference=5, wrong_utterances=2, utterances=3)
    assert found.rate == pytest.approx(4 / 5)
    assert speech_scores(references, hypotheses, "words") == pytest.approx({"wer": 4 / 5, "sentences_right": 1 / 3})
    assert math.isnan(total_errors([[]], [["a"]]).rate)
    assert all(math.isnan(score) for score in speech_scores([], [], "words").values())
    assert total_errors([["a"]], [["a", "a", "a"]]).rate == 2.0


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("kaldi", "sil sil sil aa ih sil sil b sil"),
        ("speechbrain", "sil aa ih sil b sil"),
        ("no-silence", "aa ih b"),
    ],
)
def test_conventions(convention: Convention, expected: str) -> None:
    """q is dropped before runs are looked for: silences on both sides of it are one run."""
    tokens = ["h#", "pau", "sil", "ao", "ix", "sil", "q", "pcl", "b", "h#"]
    assert fold(tokens, convention, MAP) == tuple(expected.split())
    assert fold(expected.split(), convention, MAP) == tuple(expected.split())


def test_folding_keeps_what_the_map_does_not_hold() -> None:
    assert fold(["zz", "b", "b", "pau"], "speechbrain", {}) == ("zz", "b", "b", "pau")
    assert fold(["pau", "b", "sp", "sp"], "speechbrain", {}, silences={"sp"}) == ("pau", "b", "sp")
    assert fold(["pau", "b", "sp"], "no-silence", {}, silences={"pau", "sp"}) == ("b",)
    with pytest.raises(SettingsError, match="convention is 'sclite', expected kaldi, speechbrain or no-silence"):
        fold(["b"], "sclite", MAP)  # type: ignore[arg-type]


def test_phone_scores_by_convention() -> None:
    """The hypothesis swaps two vowels that the map makes one, has a run of silence less, and misses one phone."""
    references, hypotheses = [["h#", "pau", "aa", "b", "t", "h#"]], [["h#", "ao", "q", "b", "h#"]]
    assert speech_scores(references, hypotheses, "phones", "kaldi", MAP) == pytest.approx({"per": 2 / 6, "per_no_silence": 1 / 3})
    assert speech_scores(references, hypotheses, "phones", "speechbrain", MAP) == pytest.approx({"per": 1 / 5, "per_no_silence": 1 / 3})
    assert speech_scores(references, hypotheses, "phones", "no-silence", MAP) == pytest.approx({"per": 1 / 3, "per_no_silence": 1 / 3})
    unfolded = speech_scores(references, hypotheses, "phones", silences={"h#", "pau"})
    assert unfolded == pytest.approx({"per": 3 / 6, "per_no_silence": 3 / 3})


def test_groups_tokens_and_confusions_by_hand() -> None:
    references = [["a", "b", "c"], ["a", "b"], ["a", "c"]]
    hypotheses = [["a", "x", "c"], ["y", "a", "x"], ["a"]]
    assert by_group(references, hypotheses, ["two", "one", "two"]) == {
        "one": Errors(1, 0, 1, 2, 1, 1),
        "two": Errors(1, 1, 0, 5, 2, 2),
    }
    assert list(by_group(references, hypotheses, ["z", "y", "z"])) == ["y", "z"]
    table = by_token(references, hypotheses)
    assert list(table) == ["a", "b", "c"]
    assert table["a"] == TokenErrors(3, 3, 0, 0)
    assert table["b"] == TokenErrors(2, 0, 2, 0)
    assert table["c"] == TokenErrors(2, 1, 0, 1)
    assert confusions(references, hypotheses) == [("b", "x", 2)]
    assert confusions([["b"], ["a"], ["c"], ["c"]], [["z"], ["z"], ["y"], ["y"]]) == [("c", "y", 2), ("a", "z", 1), ("b", "z", 1)]


def test_tables_add_up_to_the_whole() -> None:
    references, hypotheses = _corpus(1)
    whole = total_errors(references, hypotheses)
    groups = by_group(references, hypotheses, [f"speaker {number % 7}" for number in range(60)])
    assert sum(groups.values(), Errors()) == whole
    table = by_token(references, hypotheses)
    assert sum(token.count for token in table.values()) == whole.reference
    assert (
        sum(token.substituted for token in table.values()) == whole.substitutions == sum(n for *_, n in confusions(references, hypotheses))
    )
    assert sum(token.deleted for token in table.values()) == whole.deletions
    assert all(token.count == token.right + token.substituted + token.deleted for token in table.values())


def _as_errors(counts: np.ndarray) -> list[Errors]:
    return [Errors(substitutions=int(count), reference=30, utterances=1) for count in counts]


def test_the_bootstrap_agrees_with_the_paired_test() -> None:
    """On 400 utterances the mean difference is near normal: p as of the z test on pairs."""
    rng = np.random.default_rng(3)
    first, noise = rng.poisson(6.0, 400), rng.poisson(2.0, 400)
    for shift in (0.0, 0.15, 0.3):
        second = first + noise - rng.poisson(2.0 + shift, 400) + 5
        gaps = first + 5 - second
        expected = 2 * stats.norm.sf(abs(gaps.mean()) / (gaps.std() / math.sqrt(400)))
        found = compare(_as_errors(first + 5), _as_errors(second), seed=0)
        assert found == pytest.approx(expected, abs=0.025)
        assert compare(_as_errors(second), _as_errors(first + 5), seed=0) == pytest.approx(found, abs=1e-12)


def test_the_bootstrap_at_its_ends() -> None:
    better, worse = _as_errors(np.full(20, 2)), _as_errors(np.full(20, 3))
    assert compare(better, worse, seed=1) == pytest.approx(2 / 10_001)
    assert compare(better, better, seed=1) == 1.0
    assert math.isnan(compare([], [], seed=1))
    mixed = _as_errors(np.random.default_rng(0).integers(0, 6, 20))
    assert compare(better, mixed, seed=1) == compare(better, mixed, seed=1)
    assert compare(better, mixed, seed=1) != compare(better, mixed, seed=2)
    with pytest.raises(ValueError, match="two recognisers on the same references"):
        compare(better, better[:-1], seed=1)


def test_the_bootstrap_in_blocks_draws_all(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _as_errors(np.full(20, 2)), _as_errors(np.random.default_rng(0).integers(0, 5, 20))
    whole = compare(first, second, seed=4)
    monkeypatch.setattr("tidegate.evaluate.speech._BLOCK_CELLS", 140)
    assert compare(first, second, seed=4) == whole


def test_the_constant_rival() -> None:
    """Of digits one, of strings around a common core that core, of strings with nothing in common the empty one."""
    assert constant_rival([["one"], ["two"], ["two"], ["three"]]) == ("two",)
    assert constant_rival([["a", "b", "c"], ["a", "b"], ["a", "b", "d"]]) == ("a", "b")
    around_silence = [["sil", "a", "sil"], ["b", "sil", "c", "sil"], ["sil", "sil", "d"], ["e", "sil", "sil"]]
    assert constant_rival(around_silence) == ("sil", "sil")
    assert constant_rival([["a", "b"], [], [], ["c"]]) == () == constant_rival([])
    references, _ = _corpus(2, 500)
    found = constant_rival(references)
    assert total_errors(references, [found] * 500).rate < 1.0
    assert found == constant_rival(references)


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'a cat' is a text, expected a sequence of tokens"):
        count_errors("a cat", ["a", "cat"])
    with pytest.raises(ValueError, match="'a cat' is a text"):
        speech_scores([["a", "cat"]], ["a cat"], "words")
    with pytest.raises(ValueError, match="1 hypotheses for 2 references, expected one for each"):
        total_errors([["a"], ["b"]], [["a"]])
    with pytest.raises(ValueError, match="1 groups for 2 references"):
        by_group([["a"], ["b"]], [["a"], ["b"]], ["x"])
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(SettingsError, match="need rapidfuzz, .*'tidegate\\[speech\\]'"):
        count_errors(["a"], ["a"])
