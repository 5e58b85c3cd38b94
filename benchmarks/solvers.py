"""SoftmaxRegression beside scikit-learn's solvers: ``python -m benchmarks.solvers --help``.

For every data set and C: the time to a relative suboptimality of 1e-3, 1e-6 and 1e-9, for softgrad
at its defaults (one fit with a callback, whose own time is subtracted) and for each of
scikit-learn's solvers, watched where they evaluate the objective: the first point that is good
enough counts, be it one that a line search only tried. (saga evaluates nothing: it runs with rising
limits of iterations, each run from the start, and the first run that got there counts.) What does
not get there within the limit of seconds is shown as the best it reached. The optimum is the lowest
objective that any contender found, softgrad with tol 1e-12 among them; NumPy evaluates the
objective of every model, and proves the optimum by its gradient: F - min F <= |grad|^2 / (2 l2)
where the intercept is exact.

``--clock cpu`` counts processor seconds instead: on one thread they are those of an idle machine,
but for the caches, whatever else it does meanwhile.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import logsumexp

import softgrad as sg

from . import machine

Float = npt.NDArray[np.float64]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]  # `main` sets it

SUBOPTIMALITIES = (1e-3, 1e-6, 1e-9)
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Problem:
    """One data set. ``target`` is how many times as fast as the best peer is asked for."""

    name: str
    X: Any
    y: npt.NDArray[np.int64]
    Cs: tuple[float, ...]
    target: float

    @property
    def n_classes(self) -> int:
        return int(self.y.max()) + 1


def covtype_like(n: int = 500_000, seed: int = 1) -> tuple[Any, npt.NDArray[np.int64]]:
    """A table like UCI covertype: ten columns of very different scale, 44 indicators, 7 classes."""
    rng = np.random.default_rng(seed)
    mean = np.array([2959, 155, 14, 269, 46, 2350, 212, 223, 142, 1980.0])
    deviation = np.array([280, 112, 7.5, 212, 58, 1559, 27, 20, 38, 1324.0])
    mix = np.linalg.cholesky(np.eye(10) * 0.6 + 0.4 * np.cov(rng.normal(size=(10, 30))))
    z = rng.normal(size=(n, 10)) @ mix.T
    z[:, 7] = 0.3 * z[:, 7] - 0.7 * z[:, 6]
    columns = np.rint(mean + deviation * z)
    wilderness = np.eye(4)[rng.choice(4, n, p=[0.45, 0.05, 0.436, 0.064])]
    share = 1 / np.arange(1, 41) ** 1.3
    soil = np.eye(40)[rng.choice(40, n, p=share / share.sum())]
    X = np.hstack([columns, wilderness, soil])
    features = np.hstack([z, wilderness * 2, soil * 1.5, z[:, :1] ** 2])
    weights = rng.normal(0, 0.7, (features.shape[1], 7))
    weights[0] = np.linspace(2.0, -2.4, 7)
    bias = np.log([0.36, 0.49, 0.06, 0.005, 0.016, 0.03, 0.035])
    logits = features @ weights + bias + 0.9 * rng.gumbel(size=(n, 7))
    return X, logits.argmax(axis=1)


def text_like(
    n: int = 20_000, d: int = 100_000, classes: int = 20, seed: int = 2
) -> tuple[Any, npt.NDArray[np.int64]]:
    """TF-IDF rows of words with Zipf's frequencies; an eighth of a text's words is its topic's."""
    rng = np.random.default_rng(seed)
    share = np.cumsum(1 / np.arange(1, d + 1) ** 1.05)
    share /= share[-1]
    y = rng.integers(0, classes, n)
    topics = np.stack([rng.permutation(d) for _ in range(classes)])
    lengths = np.clip(rng.lognormal(4.9, 0.7, n), 15, 800).astype(int)
    row = np.repeat(np.arange(n), lengths)
    word = np.minimum(np.searchsorted(share, rng.random(len(row))), d - 1)
    of_topic = rng.random(len(row)) < 0.12
    said = np.where(rng.random(n) > 0.05, y, rng.integers(0, classes, n))
    word[of_topic] = topics[said[row[of_topic]], word[of_topic]]
    counts = sparse.csr_matrix((np.ones(len(row)), (row, word)), shape=(n, d))
    counts.sum_duplicates()
    frequency = np.bincount(counts.indices, minlength=d)
    idf = np.log((1 + n) / (1 + frequency)) + 1
    counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
    norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    counts.data /= np.repeat(norms, np.diff(counts.indptr))
    return counts, y


def embedding_like(
    n: int = 100_000, d: int = 128, classes: int = 1000, seed: int = 3
) -> tuple[Any, npt.NDArray[np.int64]]:
    """Unit vectors around class centres that come in families."""
    rng = np.random.default_rng(seed)
    centres = (
        rng.normal(size=(classes, d)) + 1.2 * rng.normal(size=(40, d))[rng.integers(0, 40, classes)]
    )
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    spectrum = 1 / np.arange(1, d + 1) ** 0.3
    spectrum /= np.sqrt((spectrum**2).mean())
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    X = centres[y] + rng.normal(size=(n, d)) * spectrum * 0.11
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X.astype(np.float32).astype(np.float64), y


def problems(wanted: list[str]) -> Iterator[Problem]:
    """The data sets of the benchmark; those of real files only where the files are."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    every = (0.01, 1.0, 100.0)
    for name in ("iris", "wine", "breast_cancer"):
        if name in wanted:
            X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
            yield Problem(name, X, y, every, 1.0)
    if "digits" in wanted:
        X, y = datasets.load_digits(return_X_y=True)
        yield Problem("digits", X, y, every, 10.0)
    if "letter" in wanted and (DATA / "letter").exists():
        rows = np.genfromtxt(
            DATA / "letter" / "letter-recognition.data", dtype=str, delimiter=",", skip_header=1
        )
        y = np.unique(rows[:, 0], return_inverse=True)[1]
        yield Problem("letter", rows[:, 1:].astype(float), y, every, 10.0)
    if "banking77" in wanted and (DATA / "banking77").exists():
        import csv

        from sklearn.feature_extraction.text import TfidfVectorizer

        with (DATA / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        X = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(
            row["text"] for row in table
        )
        y = np.unique([row["category"] for row in table], return_inverse=True)[1]
        yield Problem("banking77", X, y, (10.0,), 3.0)
    if "covtype" in wanted:
        yield Problem("covtype-like", *covtype_like(), every, 10.0)
    if "covtype-scaled" in wanted:
        X, y = covtype_like()
        yield Problem("covtype-like, scaled", StandardScaler().fit_transform(X), y, every, 5.0)
    if "text" in wanted:
        yield Problem("text-like", *text_like(), (10.0,), 3.0)
    if "embedding" in wanted:
        yield Problem("embedding-like", *embedding_like(), (10.0,), 3.0)
    if "mnist" in wanted and (DATA / "mnist").exists():
        from softgrad.data.idx import read_idx

        digits = read_idx(
            DATA / "mnist" / "train-images-idx3-ubyte.gz",
            DATA / "mnist" / "train-labels-idx1-ubyte.gz",
        )
        yield Problem("MNIST raw", digits.X, digits.labels.astype(np.int64), every, 10.0)


ALL = (
    *("iris", "wine", "breast_cancer", "digits", "letter", "banking77"),
    *("covtype", "covtype-scaled", "text", "embedding", "mnist"),
)


def objective(problem: Problem, C: float, coef: Float, intercept: Float) -> float:
    """scikit-learn's objective divided by C N, in NumPy, block by block."""
    X, y = problem.X, problem.y
    total = 0.0
    for start in range(0, X.shape[0], 4096):
        rows = slice(start, start + 4096)
        logits = np.asarray(X[rows] @ coef.T + intercept)
        if logits.shape[1] == 1:
            logits = np.concatenate((np.zeros_like(logits), logits), axis=1)
        picked = logits[np.arange(len(logits)), y[rows]]
        total += float((logsumexp(logits, axis=1) - picked).sum())
    return total / len(y) + float((coef**2).sum()) / (2 * C * len(y))


def proven(problem: Problem, C: float, coef: Float, intercept: Float) -> float:
    """|gradient|^2 / (2 l2) of the weights: how far above its minimum the objective may be."""
    X, y, n = problem.X, problem.y, len(problem.y)
    gradient = coef / (C * n)
    for start in range(0, n, 4096):
        rows = slice(start, start + 4096)
        logits = np.asarray(X[rows] @ coef.T + intercept)
        if logits.shape[1] == 1:
            logits = np.concatenate((np.zeros_like(logits), logits), axis=1)
        p = np.exp(logits - logsumexp(logits, axis=1)[:, None])
        p[np.arange(len(p)), y[rows]] -= 1.0
        gradient = gradient + np.asarray(X[rows].T @ p[:, -len(coef) :]).T / n
    return float((gradient**2).sum()) * C * n / 2


@dataclass
class Trace:
    """Times (s) and objectives of one contender."""

    times: list[float]
    values: list[float]
    note: str = ""

    def time_to(self, value: float) -> float | None:
        reached = [t for t, v in zip(self.times, self.values, strict=True) if v <= value]
        return min(reached) if reached else None


def ours(problem: Problem, C: float, seconds: float) -> Trace:
    """One fit, watched: what the callback costs is subtracted."""
    trace = Trace([], [])
    spent = 0.0
    started = clock()

    def watch(progress: Any) -> None:
        nonlocal spent
        now = clock()
        trace.times.append(now - started - spent)
        trace.values.append(progress.objective)
        if now - started > seconds:
            raise EnoughError
        spent += clock() - now

    model = sg.SoftmaxRegression(C, tol=1e-10, callback=watch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(problem.X, problem.y)
    except EnoughError:
        pass
    return trace


def by_default(problem: Problem, C: float) -> dict[str, Any]:
    """What a user gets who types nothing but C."""
    model = sg.SoftmaxRegression(C)
    started = clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(problem.X, problem.y)
    return {
        "seconds": clock() - started,
        "gap": model.gap_,
        "certified": model.solution_.certified and not caught,
        "solver": model.solver_,
        "objective": objective(problem, C, model.coef_, model.intercept_),
    }


class EnoughError(Exception):
    """The limit of seconds is over, or the optimum is reached."""


def theirs(
    problem: Problem, C: float, solver: str, seconds: float, enough: Callable[[float], bool]
) -> Trace:
    """One fit of scikit-learn, watched where it evaluates the objective."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.linear_model._linear_loss import LinearModelLoss

    X = problem.X
    if not sparse.issparse(X) and X.dtype == np.uint8:
        X = X.astype(np.float64)  # as scikit-learn would, but not at the cost of its time
    if solver == "saga":
        return _restarted(X, problem, C, solver, seconds, enough)
    trace = Trace([], [])
    members = ("loss", "loss_gradient")
    originals = [getattr(LinearModelLoss, member) for member in members]

    def watched(evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def member(*args: Any, **kwargs: Any) -> Any:
            result = evaluate(*args, **kwargs)
            trace.times.append(clock() - started)
            trace.values.append(float(result[0] if isinstance(result, tuple) else result))
            if trace.times[-1] > seconds or enough(trace.values[-1]):
                raise EnoughError
            return result

        return member

    model = LogisticRegression(C=C, solver=solver, tol=1e-13, max_iter=1_000_000)
    for member, original in zip(members, originals, strict=True):
        setattr(LinearModelLoss, member, watched(original))
    started = clock()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, problem.y)
    except EnoughError:
        pass
    finally:
        for member, original in zip(members, originals, strict=True):
            setattr(LinearModelLoss, member, original)
    return trace


def _restarted(
    X: Any,
    problem: Problem,
    C: float,
    solver: str,
    seconds: float,
    enough: Callable[[float], bool],
) -> Trace:
    """Fits from the start with rising limits of iterations, where nothing can be watched."""
    from sklearn.linear_model import LogisticRegression

    trace = Trace([], [])
    limit = 16
    used = 0.0
    while used < seconds:
        model = LogisticRegression(C=C, solver=solver, tol=1e-13, max_iter=limit)
        started = clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, problem.y)
        taken = clock() - started
        used += taken
        value = objective(problem, C, model.coef_, model.intercept_)
        trace.times.append(taken)
        trace.values.append(value)
        if enough(value) or int(np.max(model.n_iter_)) < limit:
            break
        limit = int(limit * 1.6) + 1
    return trace


def plain(problem: Problem, C: float) -> dict[str, float]:
    """scikit-learn's own defaults."""
    from sklearn.linear_model import LogisticRegression

    X = problem.X
    model = LogisticRegression(C=C)
    started = clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, problem.y)
    taken = clock() - started
    return {
        "seconds": taken,
        "objective": objective(problem, C, model.coef_, model.intercept_),
        "warned": float(bool(caught)),
    }


def run(problem: Problem, C: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """All contenders on one problem."""
    solvers = ["lbfgs", "newton-cg", "newton-cholesky", "saga"]
    parameters = problem.X.shape[1] * problem.n_classes
    if parameters > 10_000 or (sparse.issparse(problem.X) and problem.X.shape[1] > 2000):
        solvers.remove("newton-cholesky")  # a dense Hessian of all parameters
    if problem.X.shape[0] * problem.X.shape[1] > 5_000_000 or problem.X.shape[0] < 1000:
        solvers.remove("saga")
    # The optimum: by our solver as far as it goes, never better than what anyone finds.
    tight = sg.SoftmaxRegression(C, tol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tight.fit(problem.X, problem.y)
    best = objective(problem, C, tight.coef_, tight.intercept_)

    names = ["softgrad"] * arguments.repeats + solvers
    random.Random(0).shuffle(names)
    traces: dict[str, list[Trace]] = {}
    for name in names:
        if name == "softgrad":
            trace = ours(problem, C, 10 * arguments.seconds)
        else:
            trace = theirs(
                problem, C, name, arguments.seconds, lambda value: value <= best * (1 + 1e-10)
            )
        traces.setdefault(name, []).append(trace)
    best = min([best, *(v for ts in traces.values() for t in ts for v in t.values)])
    result: dict[str, Any] = {
        "data": problem.name,
        "shape": list(problem.X.shape),
        "classes": problem.n_classes,
        "C": C,
        "optimum": best,
        "optimum proven to": proven(problem, C, tight.coef_, tight.intercept_) / best,
        "target": problem.target,
        "default": by_default(problem, C),
        "sklearn default": plain(problem, C),
        "times": {},
        "closest": {},
    }
    for name, several in traces.items():
        times = []
        for wanted in SUBOPTIMALITIES:
            found = [t.time_to(best * (1 + wanted)) for t in several]
            known = [t for t in found if t is not None]
            times.append(statistics.median(known) if len(known) == len(found) else None)
        result["times"][name] = times
        result["closest"][name] = min(min(t.values, default=np.inf) for t in several) / best - 1
    return result


def shown(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: times to 1e-3 / 1e-6 / 1e-9, and how many times as fast as the best peer."""
    peers = ["lbfgs", "newton-cg", "newton-cholesky", "saga"]
    lines = [
        f"| data | C | softgrad | {' | '.join(peers)} | to 1e-6: times the best peer | asked |"
        " default: time, gap | scikit-learn's default: time, suboptimality |",
        "| --- | ---: |" + " --- |" * (len(peers) + 1) + " ---: | ---: | --- | --- |",
    ]
    for r in results:
        cells = []
        for name in ["softgrad", *peers]:
            if name not in r["times"]:
                cells.append("")
                continue
            text = " / ".join(shown(t) for t in r["times"][name])
            if r["times"][name][-1] is None and name != "softgrad":
                text += f" (closest {max(0.0, r['closest'][name]):.0e})"
            cells.append(text)
        mine = r["times"]["softgrad"][1]
        others = [times[1] for name, times in r["times"].items() if name != "softgrad"]
        known = [t for t in others if t is not None]
        if mine is None:
            ratio = "-"
        elif known:
            ratio = f"{min(known) / mine:.3g}"
        else:
            ratio = "none got there"
        default, plain_ = r["default"], r["sklearn default"]
        proof = "proven" if default["certified"] else "not proven"
        off = max(0.0, plain_["objective"] / r["optimum"] - 1)
        warned = ", warned" if plain_["warned"] else ""
        lines.append(
            f"| {r['data']} | {r['C']:g} | {' | '.join(cells)} | {ratio} | {r['target']:g} |"
            f" {shown(default['seconds'])}, {default['gap']:.0e} {proof} |"
            f" {shown(plain_['seconds'])}, {off:.0e}{warned} |"
        )
    return "\n".join(lines)


def scaling(clock_name: str, threads: int) -> str:
    """Time and peak memory against the number of rows, each in a process of its own."""
    import multiprocessing

    lines = [
        "| rows x 54 (float64) | data | fit | peak memory over data and imports |",
        "| ---: | ---: | ---: | ---: |",
    ]
    context = multiprocessing.get_context("spawn")
    for n in (62_500, 125_000, 250_000, 500_000, 1_000_000):
        with context.Pool(1) as pool:
            size, seconds, extra = pool.apply(_one_size, (n, clock_name, threads))
        lines.append(
            f"| {n:,} | {size / 1e6:.0f} MB | {shown(seconds)} | {extra / 1e6:.0f} MB,"
            f" {1 + extra / size:.2f} times the data |"
        )
    return "\n".join(lines)


def _one_size(n: int, clock_name: str, threads: int) -> tuple[int, float, int]:
    from threadpoolctl import threadpool_limits

    now = CLOCKS[clock_name]
    threadpool_limits(threads)
    X, y = covtype_like(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not meant to get anywhere
        sg.SoftmaxRegression(max_iter=1, tol=1.0).fit(X[:2000], y[:2000])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak()
    started = now()
    sg.SoftmaxRegression().fit(X, y)
    seconds = now() - started
    return X.nbytes, seconds, _peak() - before


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=",".join(ALL), help="which data sets, by comma")
    parser.add_argument("--C", default=None, help="only these C, by comma")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit for each peer's solver")
    parser.add_argument("--repeats", type=int, default=3, help="of softgrad's fit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="which seconds")
    parser.add_argument("--scaling", action="store_true", help="time and memory against rows")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    global clock
    clock = CLOCKS[arguments.clock]
    for fact, value in machine.describe().items():
        print(f"{fact}: {value}")
    print(f"clock: {arguments.clock}, threads: {arguments.threads}")
    print()
    if arguments.scaling:
        print(scaling(arguments.clock, arguments.threads))
        return
    from threadpoolctl import threadpool_limits

    only = None if arguments.C is None else {float(c) for c in arguments.C.split(",")}
    results = []
    with threadpool_limits(arguments.threads):
        for problem in problems(arguments.data.split(",")):
            for C in problem.Cs:
                if only is not None and C not in only:
                    continue
                results.append(run(problem, C, arguments))
                print(table(results[-1:]).splitlines()[-1], flush=True)
    print()
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1, default=float))


if __name__ == "__main__":
    main()
