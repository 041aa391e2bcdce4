"""Sets of the UCR/UEA archive by their own split: accuracy and time of Tidegate's default recipe, beside its rivals and MiniRocket.

Pairs of files NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, .arff, .txt, gzipped or not. All that the recipe chooses it chooses by the training
file; the test file is scored once for each seed. MiniRocket (Dempster, Schmidt and Webb 2021) is aeon's, where aeon is installed; it takes
neither gaps nor sequences of different length, so that for it gaps are interpolated and sequences padded to the longest with their last
value. Aeon's notes say so where it happens.
"""

import argparse
import importlib.util
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import arguments, show, show_json
from benchmarks.training import apply_settings, say
from tidegate.config import build_settings
from tidegate.config_classify import ClassConfig
from tidegate.data.archive import read_archive
from tidegate.data.labelled import LabelledSequences
from tidegate.errors import TidegateError
from tidegate.evaluate.minirocket import LEAST_STEPS, minirocket
from tidegate.tasks.classification.fitting import complete, fit_classes
from tidegate.tasks.classification.material import gather_labelled
from tidegate.tasks.classification.rivals import ask, fit_class_rivals

HAS_AEON = importlib.util.find_spec("aeon") is not None
THREADS = 2
PART = re.compile(r"(?P<name>.+)_(?P<part>TRAIN|TEST)\.(ts|tsv|arff|txt)(\.gz)?")
OWN, WITHOUT, ROCKET = "tidegate", "without_lstm", "minirocket"
Pair = tuple[str, Path, Path]


def pairs_in(folder: Path) -> list[Pair]:
    """Name, training and test file of each pair in a folder, by name; a file without its other half is none."""
    parts: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        found = PART.fullmatch(file.name)
        if found:
            parts.setdefault(found["name"], {}).setdefault(found["part"], file)
    return [(name, files["TRAIN"], files["TEST"]) for name, files in parts.items() if len(files) == 2]


def set_name(train: Path) -> str:
    """The name of a set by its training file."""
    found = PART.fullmatch(train.name)
    return found["name"] if found else train.name.split(".")[0]


def measure(pair: Pair, config: ClassConfig, seeds: int, without_lstm: bool) -> dict[str, Any]:
    """Accuracies and seconds of one set; those of Tidegate and of MiniRocket are means over the seeds."""
    name, train_file, test_file = pair
    train, test = read_archive(train_file), read_archive(test_file)
    settings = [_seeded(config, config.training.seed + number) for number in range(seeds)]
    runs = [_train(train, test, one) for one in settings]
    found: dict[str, Any] = {
        "name": name,
        "accuracy": float(np.mean([run["accuracy"] for run in runs])),
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "baselines": _rivals(train, test, config),
        "seeds": runs,
        "notes": [],
    }
    if without_lstm:
        plain = [_train(train, test, _without_lstm(one))["accuracy"] for one in settings]
        found["baselines"][WITHOUT] = float(np.mean(plain))
    if HAS_AEON:
        accuracies = [_minirocket(train, test, one.training.seed) for one in settings]
        found["baselines"][ROCKET] = float(np.mean(accuracies))
        found["notes"] = _changes(train, test)
    return found


def _seeded(config: ClassConfig, seed: int) -> ClassConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def _without_lstm(config: ClassConfig) -> ClassConfig:
    return config.model_copy(update={"network": config.network.model_copy(update={"recurrent": False})})


def _train(train: LabelledSequences, test: LabelledSequences, config: ClassConfig) -> dict[str, Any]:
    begin = time.perf_counter()
    material = gather_labelled(train, config, test)
    whole = complete(config, material)
    model = fit_classes(material, whole, listen=lambda event: None).model
    probabilities = model.probabilities(material.test)
    seconds = time.perf_counter() - begin
    training = whole.training
    return {
        "seed": training.seed,
        "accuracy": _accuracy(material.test.labels, probabilities.argmax(1)),
        "seconds": seconds,
        "members": training.members,
        "epochs": training.max_epochs,
        "parameters": model.parameters(),
    }


def _rivals(train: LabelledSequences, test: LabelledSequences, config: ClassConfig) -> dict[str, float]:
    material = gather_labelled(train, config, test)
    answers = ask(fit_class_rivals(material), material.test)
    return {name: _accuracy(material.test.labels, answer.argmax(1)) for name, answer in answers.items()}


def _minirocket(train: LabelledSequences, test: LabelledSequences, seed: int) -> float:
    known, asked = train.sequences, test.sequences
    data = (known.values, known.offsets, train.labels, len(train.classes), asked.values, asked.offsets)
    answer = minirocket(*data, seed=seed, threads=THREADS)
    return _accuracy(test.with_classes(train.classes).labels, answer.argmax(1))


def _accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float((predicted == truth).mean())


def _changes(train: LabelledSequences, test: LabelledSequences) -> list[str]:
    """What MiniRocket's copy of the data differs in."""
    lengths = np.concatenate([train.sequences.lengths, test.sequences.lengths])
    gaps = np.isnan(train.sequences.values).any() or np.isnan(test.sequences.values).any()
    notes = ["gaps interpolated for minirocket"] if gaps else []
    return notes + (["padded to the longest for minirocket"] if lengths.min() < max(LEAST_STEPS, lengths.max()) else [])


def mean_ranks(sets: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean over the sets of each method's rank by accuracy, the best 1; equals share the mean of their ranks."""
    columns = [OWN, *sets[0]["baselines"]]
    scores = np.array([[found["accuracy"], *found["baselines"].values()] for found in sets])
    better = (scores[:, None, :] > scores[:, :, None]).sum(2)
    equal = (scores[:, None, :] == scores[:, :, None]).sum(2)
    return dict(zip(columns, (better + (equal + 1) / 2).mean(0).tolist(), strict=True))


def summary(sets: Sequence[Mapping[str, Any]], config: ClassConfig, seeds: int) -> dict[str, Any]:
    """All that --json prints."""
    names = list(sets[0]["baselines"])
    return {
        "sets": list(sets),
        "mean_accuracy": float(np.mean([found["accuracy"] for found in sets])),
        "mean_baselines": {name: float(np.mean([found["baselines"][name] for found in sets])) for name in names},
        "mean_rank": mean_ranks(sets),
        "seconds": float(sum(found["seconds"] for found in sets)),
        "seeds": seeds,
        "threads": THREADS,
        "without": [] if HAS_AEON else [NO_ROCKET],
        "config": config.model_dump(mode="json"),
    }


NO_ROCKET = "minirocket: aeon is not installed"


def rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The table: each set, then the means."""
    for found in result["sets"]:
        yield {"set": found["name"], OWN: found["accuracy"], "seconds": found["seconds"], **found["baselines"]}
    yield {"set": "mean", OWN: result["mean_accuracy"], "seconds": result["seconds"] / len(result["sets"]), **result["mean_baselines"]}
    yield {"set": "mean rank", **result["mean_rank"]}


def main() -> None:
    """Train, score and print each set, then the table."""
    parser = arguments("archive", "Sets of the UCR/UEA archive: the default recipe beside its rivals and MiniRocket.")
    parser.add_argument("--train", type=Path, help="the training file of one set")
    parser.add_argument("--test", type=Path, help="its test file")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="a folder with pairs NAME_TRAIN.*, NAME_TEST.*; repeatable"
    )
    parser.add_argument("--sets", help="NAME,NAME: only these of the folders")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds are trained in turn (default: 1)")
    parser.add_argument("--without-lstm", action="store_true", help="train the same network without its LSTM too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting, such as training.members=1")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    try:
        result = _measure_all(_pairs(options, parser.error), options)
    except TidegateError as error:
        parser.error(str(error))
    if options.json:
        show_json("archive", result)
    else:
        facts = {name: result[name] for name in ("threads", "seeds")}
        show("archive", list(rows(result)), facts | ({"without": "; ".join(result["without"])} if result["without"] else {}))


def _pairs(options: argparse.Namespace, refuse: Callable[[str], Any]) -> list[Pair]:
    """The sets that were asked for."""
    if (options.train is None) != (options.test is None) or (options.train is None) == (not options.folder):
        refuse("give --train and --test, or --folder")
    if options.seeds < 1:
        refuse("--seeds must be at least 1")
    if options.train is not None:
        return [(set_name(options.train), options.train, options.test)]
    absent = [str(folder) for folder in options.folder if not folder.is_dir()]
    if absent:
        refuse(f"no folder {', '.join(absent)}")
    found = [pair for folder in options.folder for pair in pairs_in(folder)]
    if not options.sets:
        return found or refuse("no pair of files NAME_TRAIN.* and NAME_TEST.* in the folders")
    wanted, known = options.sets.split(","), {pair[0]: pair for pair in found}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        refuse(f"no set {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def _measure_all(pairs: Sequence[Pair], options: argparse.Namespace) -> dict[str, Any]:
    # The number of threads is that of the benchmark, not part of the recipe.
    config = build_settings(apply_settings({"training": {"threads": THREADS}}, options.set), ClassConfig)
    if not HAS_AEON:
        say(f"{NO_ROCKET}; its column is missing")
    sets = []
    for pair in pairs:
        found = measure(pair, config, options.seeds, options.without_lstm)
        others = ", ".join(f"{name} {value:.4f}" for name, value in found["baselines"].items())
        notes = f" ({', '.join(found['notes'])})" if found["notes"] else ""
        say(f"{found['name']}: accuracy {found['accuracy']:.4f}, {found['seconds']:.0f} s; {others}{notes}")
        sets.append(found)
    return summary(sets, config, options.seeds)


if __name__ == "__main__":
    main()
