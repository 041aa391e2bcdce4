"""The phone sets of TIMIT and its speakers."""

from tidegate.data.speech.phones import CORE_TEST, DEVELOPMENT, FOLD_39, FOLD_48, PHONES_61, SILENCES


def test_counts() -> None:
    assert len(PHONES_61) == len(set(PHONES_61)) == len(FOLD_48) == 61
    assert len(set(FOLD_48.values()) - {None}) == 48
    assert len({FOLD_39[phone] for phone in PHONES_61} - {None}) == 39
    assert len(set(FOLD_39.values()) - {None}) == 39


def test_only_q_is_dropped() -> None:
    assert [phone for phone, folded in FOLD_48.items() if folded is None] == ["q"]
    assert [phone for phone, folded in FOLD_39.items() if folded is None] == ["q"]


def test_folding_in_two_steps_is_folding_at_once() -> None:
    for phone, middle in FOLD_48.items():
        assert FOLD_39[phone] == (None if middle is None else FOLD_39[middle])


def test_folding_is_idempotent() -> None:
    for folded in set(FOLD_39.values()) - {None}:
        assert folded is not None and FOLD_39[folded] == folded


def test_table_of_lee_and_hon() -> None:
    """The rows where something changes, as Kaldi's phones.60-48-39.map has them."""
    rows = """ao ao aa|ax ax ah|ax-h ax ah|axr er er|bcl vcl sil|dcl vcl sil|gcl vcl sil|pcl cl sil|tcl cl sil|kcl cl sil|el el l|em m m
    |en en n|eng ng ng|epi epi sil|h# sil sil|pau sil sil|hv hh hh|ix ix ih|nx n n|ux uw uw|zh zh sh"""
    changed = [row.split() for row in rows.split("|")]
    for phone, middle, least in changed:
        assert (FOLD_48[phone], FOLD_39[phone]) == (middle, least)
    for phone in set(PHONES_61) - {row[0] for row in changed} - {"q"}:
        assert FOLD_48[phone] == FOLD_39[phone] == phone


def test_silences() -> None:
    assert {"h#", "pau", "epi", "sil", "cl", "vcl", "bcl", "dcl", "gcl", "pcl", "tcl", "kcl"} == SILENCES


def test_speakers() -> None:
    assert len(set(CORE_TEST)) == len(CORE_TEST) == 24 and sum(name.startswith("f") for name in CORE_TEST) == 8
    assert len(set(DEVELOPMENT)) == len(DEVELOPMENT) == 50 and sum(name.startswith("f") for name in DEVELOPMENT) == 18
    assert not set(CORE_TEST) & set(DEVELOPMENT)
