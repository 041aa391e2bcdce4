"""The phones of TIMIT, how they are folded for training and scoring, and its speakers for tests.

Folding: Lee and Hon 1989, 'Speaker-independent phone recognition using hidden Markov models': 61 labels are transcribed, 48 are
trained on, 39 are scored. Speakers: NIST's core test set, and the development set that Kaldi, SpeechBrain and Lhotse share.
"""

_LABELS = """
aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l m n ng nx ow oy
p pau pcl q r s sh t tcl th uh uw ux v w y z zh
"""
_CORE = """
mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0
mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0
"""
_DEVELOPMENT = """
fadg0 faks0 fcal1 fcmh0 fdac1 fdms0 fdrw0 fedw0 fgjd0 fjem0 fjmg0 fjsj0 fkms0 fmah0 fmml0 fnmr0 frew0 fsem0
majc0 mbdg0 mbns0 mbwm0 mcsh0 mdlf0 mdls0 mdvc0 mers0 mgjf0 mglb0 mgwt0 mjar0 mjfc0 mjsw0 mmdb1 mmdm2 mmjr0
mmwh0 mpdf0 mrcs0 mreb0 mrjm4 mrjr0 mroa0 mrtk0 mrws1 mtaa0 mtdt0 mteb0 mthc0 mwjg0
"""

PHONES_61 = tuple(_LABELS.split())
"""The labels of the .PHN files, `h#` for the silence at both ends, `q` for the glottal stop."""

_TO_48 = {
    **dict.fromkeys(("ax", "ax-h"), "ax"),
    "axr": "er",
    **dict.fromkeys(("bcl", "dcl", "gcl"), "vcl"),
    **dict.fromkeys(("pcl", "tcl", "kcl"), "cl"),
    "em": "m",
    "eng": "ng",
    **dict.fromkeys(("h#", "pau"), "sil"),
    "hv": "hh",
    "nx": "n",
    "ux": "uw",
    "q": None,
}
_48_TO_39 = {
    "ao": "aa",
    "ax": "ah",
    **dict.fromkeys(("vcl", "cl", "epi"), "sil"),
    "el": "l",
    "en": "n",
    "ix": "ih",
    "zh": "sh",
}

FOLD_48: dict[str, str | None] = {phone: _TO_48.get(phone, phone) for phone in PHONES_61}
"""Of each of the 61 labels its phone among 48; None: dropped."""

FOLD_39: dict[str, str | None] = {
    phone: None if (middle := FOLD_48.get(phone, phone)) is None else _48_TO_39.get(middle, middle)
    for phone in sorted({*PHONES_61, *(phone for phone in FOLD_48.values() if phone is not None)})
}
"""Of each label, whether one of the 61, 48 or 39, its phone among 39; None: dropped."""

SILENCES = frozenset(phone for phone, folded in FOLD_39.items() if folded == "sil")
"""All labels that are scored as silence: pauses, and the closures of stops."""

CORE_TEST = tuple(_CORE.split())
"""24 speakers of TEST: two men and a woman of each of the eight dialect regions, in their order."""

DEVELOPMENT = tuple(_DEVELOPMENT.split())
"""50 other speakers of TEST."""
