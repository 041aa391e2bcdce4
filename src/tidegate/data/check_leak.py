"""Covariates that give the target away: its future under another name, the target itself, or columns that add up to it.

Changes from step to step are compared, so that a common trend or season alone does not count.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from tidegate.data.findings import Finding

_ROWS = 20_000
_FEWEST = 30
_SAME = 0.999
_MOST_LAGS = 48
_MOST_COLUMNS = 30


def check_leaks(
    targets: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray], declared: frozenset[str], future: frozenset[str], horizon: int
) -> list[Finding]:
    """What gives a target away. All columns hold one series' training part on the grid [T], NaN missing.

    others    covariates and undeclared columns of numbers; `declared` names the covariates, `future` those known in the future
    """
    targets = {name: values[:_ROWS] for name, values in list(targets.items())[:_MOST_COLUMNS]}
    others = {name: values[:_ROWS] for name, values in list(others.items())[:_MOST_COLUMNS]}
    changes = {name: _changes(values) for name, values in others.items()}
    findings = []
    for target, y_T in targets.items():
        copies = _copies(y_T, changes, future, horizon)
        findings += [_copy(target, name, lag, likeness, name in declared, name in future) for name, (lag, likeness) in copies.items()]
        rest = {name: values for name, values in (others | targets).items() if name not in copies and name != target}
        findings += [_sum(target, pair, declared, future) for pair in _sums(y_T, rest)]
    return findings


def _copies(y_T: np.ndarray, changes: Mapping[str, np.ndarray], future: frozenset[str], horizon: int) -> dict[str, tuple[int, float]]:
    """Of each column that copies the target: so many steps ahead, and how much alike. A target that repeats its own past exactly
    has no copies: what looks like its future is its past."""
    change, lags = _changes(y_T), _lags(len(y_T), horizon)
    if any(_likeness(change, change, lag) >= _SAME for lag in lags):
        return {}
    found = {}
    for name, x in changes.items():
        tried = range(1 - horizon if name in future else 0, lags.stop)
        likeness, lag = max((_likeness(x, change, lag), -abs(lag), lag) for lag in tried)[::2]
        if likeness >= _SAME:
            found[name] = (lag, likeness)
    return found


def _lags(total: int, horizon: int) -> range:
    return range(1, 1 + min(max(_MOST_LAGS, 2 * horizon), total // 4))


def _changes(values_T: np.ndarray) -> np.ndarray:
    """Steps from value to value, cut off at 6 robust deviations, so that one common jump does not make two columns alike."""
    steps = np.diff(values_T.astype(np.float64))
    seen = steps[~np.isnan(steps)]
    spread = 1.4826 * np.median(np.abs(seen - np.median(seen))) if len(seen) else 0.0
    return np.clip(steps, -6 * spread, 6 * spread) if spread > 0 else steps


def _likeness(x: np.ndarray, y: np.ndarray, lag: int) -> float:
    """Absolute correlation of x[t] with y[t + lag] over the steps where both are known; 0 with too few of them."""
    a, b = (x[: len(x) - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: len(y) + lag])
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < _FEWEST:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt(np.sum(a * a) * np.sum(b * b))  # not a @ b: a dot product in threads is slower on vectors of this length
    return float(abs(np.sum(a * b)) / size) if size > 0 else 0.0


def _copy(target: str, name: str, lag: int, likeness: float, used: bool, known: bool) -> Finding:
    evidence = f"(correlation {likeness:.4f} of the changes)"
    if lag > 0:
        words = f"It copies the future of '{target}', {lag} steps ahead {evidence}. A forecast from it looks ahead; leave it out."
        return Finding("error" if used else "warning", "copies-future", words, name, lag)
    if known:
        when = "at the same step" if lag == 0 else f"{-lag} steps before"
        words = (
            f"It is declared as known in the future, but copies '{target}' {when} {evidence}. Nobody knows it then; declare it with --past."
        )
        return Finding("error", "copies-future", words, name, -lag)
    words = f"It says the same as '{target}' {evidence}. It adds nothing, and must not be declared as known in the future."
    return Finding("warning" if used else "note", "copies-target", words, name)


def _sums(y_T: np.ndarray, others: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Pairs of columns that add up to the target, neither of which is mostly 0."""
    full = {name: values for name, values in others.items() if 2 * np.count_nonzero(values[~np.isnan(values)]) > len(values)}
    for first, second in combinations(full, 2):
        a, b = full[first], full[second]
        if all(_equal(a[part] + b[part], y_T[part]) for part in (slice(_FEWEST), slice(None))):
            yield first, second


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    both = ~(np.isnan(x) | np.isnan(y))
    return int(both.sum()) >= min(_FEWEST, len(x) // 2) and np.allclose(x[both], y[both], rtol=1e-6, atol=1e-9)


def _sum(target: str, pair: tuple[str, str], declared: frozenset[str], future: frozenset[str]) -> Finding:
    known = all(name in future for name in pair)
    words = f"Together they add up to '{target}'. They are its parts: unknown in the future, and never to be declared as known."
    level = "error" if known else "warning" if declared.intersection(pair) else "note"
    return Finding(level, "adds-up-to-target", words, " + ".join(pair))
