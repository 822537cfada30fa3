"""Regret, ranks and seconds of many runs as tables."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from tabulate import tabulate

from benchmarks.arena.job import Row, rows_of
from benchmarks.arena.problems import kind_of, make

__all__ = ["Scale", "common_pairs", "mean_over_problems", "regrets", "report", "scales"]

Scale = tuple[float, float]
"""The losses where regret is 0 and where it is 1."""

Pair = tuple[str, int]
"""A problem and a seed."""

_AT = (20, 50)


def scales(runs: Iterable[Row], measured: Iterable[Row]) -> dict[str, Scale]:
    """Of each problem: the best known and the median of random configurations.

    Where the problem does not know them, `measured` are those of random search, and whatever any method of
    `runs` found counts as known.
    """
    found: dict[str, Scale] = {row["problem"]: (row["best"], row["median"]) for row in measured}
    for row in runs:
        name = row["problem"]
        known = make(name).known_scale
        if known is not None:
            found[name] = known
        elif name in found:
            found[name] = (min(found[name][0], *row["losses"]), found[name][1])
    return found


def regrets(row: Row, scale: Scale) -> np.ndarray:
    """(n,) regret of the best so far after each experiment, clipped to [0, 1]; a short run keeps its last."""
    best, median = scale
    so_far = np.minimum.accumulate(np.array(row["losses"], float))
    so_far = np.concatenate([so_far, np.full(row["n"] - len(so_far), so_far[-1])])
    if median <= best:
        return np.where(so_far <= best, 0.0, 1.0)
    return np.clip((so_far - best) / (median - best), 0.0, 1.0)


def mean_over_problems(values: Mapping[Pair, float]) -> float:
    """The mean over seeds, and then over problems; NaN of nothing."""
    by_problem: dict[str, list[float]] = {}
    for (problem, _), value in values.items():
        by_problem.setdefault(problem, []).append(value)
    return float(np.mean([np.mean(each) for each in by_problem.values()])) if by_problem else float("nan")


def common_pairs(runs: Mapping[str, Mapping[Pair, np.ndarray]]) -> set[Pair]:
    """Problems and seeds that every method was measured on."""
    return set.intersection(*(set(of) for of in runs.values())) if runs else set()


def curves(rows: Iterable[Row], scale: Mapping[str, Scale]) -> dict[str, dict[Pair, np.ndarray]]:
    """Of each method, and of each problem and seed: regret after each experiment."""
    found: dict[str, dict[Pair, np.ndarray]] = {}
    for row in rows:
        if row["problem"] in scale:
            of = found.setdefault(row["method"], {})
            of[row["problem"], row["seed"]] = regrets(row, scale[row["problem"]])
    return found


def report(rows: list[Row], scale: Mapping[str, Scale]) -> str:
    """A table per size of batch."""
    batches = sorted({row["batch"] for row in rows})
    parts = [_one_batch(rows_of(rows, batch=batch), scale, batch) for batch in batches]
    if len(batches) > 1:
        parts.append(_beside_sequential(rows, scale, batches))
    return "\n\n".join(parts) or "Nothing was measured."


def _one_batch(rows: list[Row], scale: Mapping[str, Scale], batch: int) -> str:
    found = curves(rows, scale)
    n = min(row["n"] for row in rows)
    at = [k for k in _AT if k <= n] or [n]
    kinds = sorted({kind_of(row["problem"]) for row in rows})
    common = common_pairs(found)
    ranks = _ranks(found, common, at[-1])
    ours = found.get("ours", {})
    table = []
    for method, of in found.items():
        line: list[object] = [method, len(of)]
        line += [_mean(of, k) for k in at]
        if len(kinds) > 1:
            line += [_mean(of, k, kind) for kind in kinds for k in at]
        if ours:
            line += [_mean({pair: ours[pair] for pair in of if pair in ours}, k) for k in at]
        line += [ranks.get(method), float(np.mean([row["cpu_s"] for row in rows_of(rows, method=method)]))]
        table.append(line)
    headers = ["method", "runs", *(f"at {k}" for k in at)]
    if len(kinds) > 1:
        headers += [f"{kind} {k}" for kind in kinds for k in at]
    if ours:
        headers += [f"ours {k}" for k in at]
    headers += [f"rank {at[-1]}", "seconds"]
    how = "One at a time" if batch == 1 else f"Batches of {batch}, all asked before any is told"
    title = how + f": {len({p for p, _ in set().union(*found.values())})} problems, {n} experiments a run"
    legend = (
        "Mean regret: 0 best known, 1 median random. `ours`: on the same runs as that line. Ranks: of the "
        f"{len(common)} runs that all methods have. Seconds: of one core, in ask and tell of a whole run."
    )
    body = tabulate(table, headers=headers, floatfmt=".3f", missingval="")
    parts = [title, body, legend, *(_margin(found, k) for k in at)]
    return "\n".join(part for part in parts if part)


def _mean(of: Mapping[Pair, np.ndarray], k: int, kind: str | None = None) -> float:
    return mean_over_problems(
        {pair: float(curve[k - 1]) for pair, curve in of.items() if kind in (None, kind_of(pair[0]))}
    )


def _ranks(found: Mapping[str, Mapping[Pair, np.ndarray]], common: set[Pair], k: int) -> dict[str, float]:
    """Mean rank of each method among all, equals sharing theirs; the mean over seeds, then over problems."""
    ranks: dict[str, dict[Pair, float]] = {method: {} for method in found}
    for pair in common:
        values = np.array([of[pair][k - 1] for of in found.values()])
        for i, method in enumerate(found):
            below, equal = (values < values[i]).sum(), (values == values[i]).sum()
            ranks[method][pair] = float(below + (equal + 1) / 2)
    return {method: mean_over_problems(of) for method, of in ranks.items() if of}


def _margin(found: Mapping[str, Mapping[Pair, np.ndarray]], k: int) -> str:
    """How far ours is below the peer that comes nearest to it, each on the runs that both have."""
    margins = {}
    for method, of in found.items():
        shared = set(of) & set(found.get("ours", {}))
        if method.startswith("ours") or not shared:
            continue
        theirs, mine = (_mean({p: each[p] for p in shared}, k) for each in (of, found["ours"]))
        if theirs > 0:
            margins[method] = 1 - mine / theirs
    if not margins:
        return ""
    nearest = min(margins, key=margins.__getitem__)
    side = "below" if margins[nearest] >= 0 else "above"
    return f"At {k}: ours is {abs(margins[nearest]):.0%} {side} {nearest}, its best peer on shared runs."


def _beside_sequential(rows: list[Row], scale: Mapping[str, Scale], batches: Sequence[int]) -> str:
    """Regret in batches over that of the same method one at a time, on the runs that both have."""
    found = {batch: curves(rows_of(rows, batch=batch), scale) for batch in batches}
    first, *others = batches
    n = min(row["n"] for row in rows)
    at = [k for k in _AT if k <= n] or [n]
    table = []
    for method in found[first]:
        line: list[object] = [method]
        for batch in others:
            shared = set(found[first][method]) & set(found[batch].get(method, {}))
            for k in at:
                alone = _mean({p: found[first][method][p] for p in shared}, k)
                line.append(
                    _mean({p: found[batch][method][p] for p in shared}, k) / alone if shared else None
                )
        table.append(line)
    headers = ["method", *(f"batch {batch} at {k}" for batch in others for k in at)]
    return "Regret in batches, as a multiple of the same method's alone:\n" + tabulate(
        table, headers=headers, floatfmt=".2f", missingval=""
    )
