"""Training: repeatable, resumable bit for bit, early stopping, and what it does when it fails."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_info, threadpool_limits

import softgrad as sg
from softgrad.data.batches import ArrayBatches
from softgrad.network import (
    BatchNorm,
    Dropout,
    Linear,
    Sequential,
    Status,
    find_step_size,
    train,
    train_lbfgs,
)
from softgrad.optimize import SGD, Adam, Cosine, WarmUp

rng = np.random.default_rng(7)
X = rng.normal(size=(301, 6)).astype(np.float32)
Y = (X @ rng.normal(size=(6, 3))).argmax(axis=1)
NOISY = np.where(rng.random(301) < 0.3, rng.integers(3, size=301), Y)


def network(dtype=np.float32) -> Sequential:
    layers = [Linear(6, 24), BatchNorm(24), sg.sigmoid, Dropout(0.2), Linear(24, 3)]
    return Sequential(layers, loss=sg.cross_entropy, dtype=dtype, seed=0)


def same(a: Sequential, b: Sequential) -> bool:
    return all(
        np.array_equal(x, y) for x, y in zip(a.state().values(), b.state().values(), strict=True)
    )


ONE = {"epochs": 1, "seed": 0}
OPTIONS = {"optimizer": Adam(WarmUp(Cosine(0.02, steps=60), steps=5)), "batch_size": 32, "seed": 4}


def test_the_seed_decides_every_bit():
    runs = [network() for _ in range(3)]
    results = [
        train(net, X, Y, epochs=2, **{**OPTIONS, "seed": seed})
        for net, seed in zip(runs, (4, 4, 5), strict=True)
    ]
    assert same(runs[0], runs[1])
    assert results[0].history["loss"] == results[1].history["loss"]
    assert not same(runs[0], runs[2])


def test_every_row_is_seen_once_an_epoch():
    from softgrad.network.minibatches import ArraySource

    numbered = np.arange(301.0)[:, None]
    source = ArraySource(numbered, np.arange(301), batch_size=32, shuffle=True, seed=0)
    epochs = [[batch.X[:, 0].copy() for batch in source.epoch(e)] for e in (0, 1)]
    for epoch in epochs:
        assert [len(b) for b in epoch] == [32] * 9 + [13]
        assert sorted(np.concatenate(epoch)) == list(range(301))
    assert not np.array_equal(epochs[0][0], epochs[1][0])


@pytest.mark.parametrize("stop", [1, 7, 10, 11, 20, 23])
def test_resumed_as_if_never_stopped(tmp_path, stop):
    """10 batches an epoch: stops within an epoch, at its last batch and after its end."""
    whole = network()
    result = train(whole, X, Y, epochs=3, validation=(X[:50], NOISY[:50]), **OPTIONS)

    first = network()
    saved = {}

    def interrupt(progress):
        if progress.step == stop:
            saved.update(progress.state())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(first, X, Y, epochs=3, validation=(X[:50], NOISY[:50]), on_step=interrupt, **OPTIONS)
    np.savez(tmp_path / "state.npz", **saved)
    second = network()
    second.initialize(99)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        again = train(
            second, X, Y, epochs=3, validation=(X[:50], NOISY[:50]), state=dict(state), **OPTIONS
        )
    assert same(second, whole)
    assert again.history == result.history
    assert again.best_epoch == result.best_epoch
    for name, array in result.state.items():
        assert np.array_equal(array, again.state[name]), name


def test_more_epochs_from_a_result():
    whole, parts = network(), network()
    train(whole, X, Y, epochs=4, **OPTIONS)
    first = train(parts, X, Y, epochs=2, **OPTIONS)
    train(parts, X, Y, epochs=4, state=first.state, **OPTIONS)
    assert same(whole, parts)


def test_a_state_of_another_run_or_network():
    state = train(network(), X, Y, epochs=1, **OPTIONS).state
    with pytest.raises(ValueError, match="batch_size 32, not 16"):
        train(network(), X, Y, state=state, **{**OPTIONS, "batch_size": 16})
    with pytest.raises(ValueError, match="seed 4, not 5"):
        train(network(), X, Y, state=state, **{**OPTIONS, "seed": 5})
    with pytest.raises(ValueError, match="number of rows 301, not 300"):
        train(network(), X[:300], Y[:300], state=state, **OPTIONS)
    with pytest.raises(ValueError, match="SGD remembers"):
        train(network(), X, Y, state=state, **{**OPTIONS, "optimizer": SGD(0.1)})
    other = Sequential([Linear(6, 9), sg.sigmoid, Linear(9, 3)], loss=sg.cross_entropy)
    before = other.state()
    with pytest.raises(ValueError, match="another architecture"):
        train(other, X, Y, state=state, **OPTIONS)
    assert all(np.array_equal(a, before[n]) for n, a in other.state().items())
    with pytest.raises(ValueError, match="no state of a training"):
        train(network(), X, Y, state={}, **OPTIONS)


def test_early_stopping_keeps_the_best_weights():
    net = Sequential([Linear(6, 64), sg.sigmoid, Linear(64, 3)], loss=sg.cross_entropy, seed=0)
    seen = []
    Xt, yt, Xv, yv = X[:60], NOISY[:60], X[60:], NOISY[60:]
    result = train(
        net, Xt, yt, optimizer=Adam(0.1), epochs=200, batch_size=16, validation=(Xv, yv),
        patience=5, on_epoch=lambda p: seen.append((p.validation_loss, net.state())),
    )  # fmt: skip
    assert result.status is Status.EARLY
    losses = result.history["validation_loss"]
    assert result.epochs == len(losses) < 200
    assert result.best_epoch == int(np.argmin(losses)) + 1 == result.epochs - 5
    assert net.evaluate(Xv, yv)[0] == min(losses) == result.best_loss
    best = seen[result.best_epoch - 1][1]
    assert all(np.array_equal(a, best[n]) for n, a in net.state().items())


def test_early_stopping_resumes(tmp_path):
    Xt, yt, validation = X[:60], NOISY[:60], (X[60:], NOISY[60:])
    options = {"optimizer": Adam(0.1), "epochs": 200, "batch_size": 16, "patience": 5}

    def fresh():
        layers = [Linear(6, 64), sg.sigmoid, Linear(64, 3)]
        return Sequential(layers, loss=sg.cross_entropy, seed=0)

    whole, part = fresh(), fresh()
    wanted = train(whole, Xt, yt, validation=validation, **options)
    halt = wanted.best_epoch + 2
    first = train(
        part, Xt, yt, validation=validation, on_epoch=lambda p: p.epoch == halt, **options
    )
    assert first.status is Status.STOPPED
    again = train(part, Xt, yt, validation=validation, state=first.state, **options)
    assert again.history == wanted.history
    assert same(part, whole)


def test_min_improvement_is_what_counts():
    net = network()
    result = train(
        net, X, Y, epochs=50, validation=(X, Y), patience=3, min_improvement=10.0, **OPTIONS
    )
    assert result.epochs == 4  # the first epoch is an improvement over nothing


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("part", [7, 32, 100, 400])
def test_streams_have_the_same_batches_in_any_parts(shuffle, part):
    options = {**OPTIONS, "epochs": 2, "shuffle": shuffle}
    nets = [network(), network()]
    train(nets[0], ArrayBatches(X, Y, batch_rows=301), **options)
    result = train(nets[1], ArrayBatches(X, Y, batch_rows=part), **options)
    assert same(*nets)
    assert result.steps == 20
    if not shuffle:
        memory = network()
        train(memory, X, Y, **options)
        assert same(memory, nets[0])


def test_streams_of_many_blocks_see_every_row():
    from softgrad.network.minibatches import StreamSource

    numbered = np.arange(301.0)[:, None]
    parts = [(numbered[i : i + 9], np.arange(301)[i : i + 9]) for i in range(0, 301, 9)]
    source = StreamSource(parts, classes=None, batch_size=2, shuffle=True, seed=0)
    batches = [batch.X[:, 0].copy() for batch in source.epoch(0)]
    assert sorted(np.concatenate(batches)) == list(range(301))
    late = [batch.X[:, 0].copy() for batch in source.epoch(0, skip=70)]
    for a, b in zip(late, batches[70:], strict=True):
        assert np.array_equal(a, b)
    assert source.n_rows == 301


@pytest.mark.parametrize("part", [1, 100, 129, 301])
def test_blocks_of_a_stream_do_not_depend_on_its_parts(part):
    from softgrad.network.minibatches import StreamSource

    numbered = np.arange(301.0)[:, None]

    def batches(size):
        parts = [
            (numbered[i : i + size], np.arange(301)[i : i + size]) for i in range(0, 301, size)
        ]
        source = StreamSource(parts, classes=None, batch_size=2, shuffle=True, seed=0)
        return [batch.X[:, 0].copy() for batch in source.epoch(0)]

    for a, b in zip(batches(part), batches(128), strict=True):
        assert np.array_equal(a, b)


def test_streams_of_names_and_weights():
    names = np.array(["ant", "bee", "cat"])
    weight = np.linspace(0.0, 2.0, 301)
    by_name, by_index = network(), network()
    stream = [(X[:200], names[Y[:200]], weight[:200]), (X[200:], names[Y[200:]], weight[200:])]
    options = {**OPTIONS, "shuffle": False, "epochs": 1}
    train(by_name, stream, classes=names, **options)
    train(by_index, X, Y, sample_weight=weight, **options)
    assert same(by_name, by_index)
    with pytest.raises(ValueError, match="none of the classes"):
        train(network(), stream, classes=names[:2], **options)


def test_a_generator_is_no_stream():
    with pytest.raises(TypeError, match="read only once"):
        train(network(), ((X, Y) for _ in range(2)))
    with pytest.raises(ValueError, match="no rows"):
        train(network(), [])


def test_memory_maps_and_sparse_rows(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    nets = [Sequential([Linear(6, 3)], loss=sg.cross_entropy, seed=0) for _ in range(3)]
    for net, rows in zip(nets, (X, mapped, csr_matrix(X)), strict=True):
        train(net, rows, Y, epochs=1, **OPTIONS)
    assert same(nets[0], nets[1])
    np.testing.assert_allclose(nets[0].vector, nets[2].vector, rtol=1e-4, atol=1e-6)


def test_a_last_batch_of_one_row_joins_another_before_batch_norm():
    net = network()
    assert train(net, X[:65], Y[:65], epochs=1, **OPTIONS).steps == 2
    plain = Sequential([Linear(6, 3)], loss=sg.cross_entropy, seed=0)
    assert train(plain, X[:65], Y[:65], epochs=1, **OPTIONS).steps == 3
    with pytest.raises(ValueError, match="at least 2 rows"):
        train(network(), X[:1], Y[:1], epochs=1, **OPTIONS)


def test_weights_of_rows_and_classes_count():
    plain, weighted = network(), network()
    keep = NOISY != 2
    train(plain, X[keep], NOISY[keep], epochs=1, shuffle=False, batch_size=301, optimizer=SGD(0.5))
    train(
        weighted, X, NOISY, epochs=1, shuffle=False, batch_size=301, optimizer=SGD(0.5),
        class_weight=[1.0, 1.0, 0.0],
    )  # fmt: skip
    # BatchNorm sees the rows without weight, so only a network without it would be the same.
    assert not same(plain, weighted)
    layers = [Linear(6, 3)]
    nets = [Sequential(layers, loss=sg.cross_entropy, dtype=np.float64, seed=0) for _ in range(3)]
    options = {"epochs": 2, "shuffle": False, "batch_size": 301, "optimizer": SGD(0.5)}
    train(nets[0], X[keep], NOISY[keep], **options)
    train(nets[1], X, NOISY, class_weight=[1.0, 1.0, 0.0], **options)
    train(nets[2], X, NOISY, sample_weight=keep.astype(float), **options)
    for net in nets[1:]:
        np.testing.assert_allclose(net.vector, nets[0].vector, rtol=1e-11)


@pytest.mark.parametrize("activation", ["relu", "gelu", "softmax"])
@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(1e-3)])
def test_memory_is_that_of_parameters_and_activations(activation, optimizer):
    import tracemalloc

    widths, batch = (784, 256, 128, 10), 128
    layers = [
        *(Linear(784, 256), getattr(sg, activation)),
        *(Linear(256, 128), getattr(sg, activation), Linear(128, 10)),
    ]
    net = Sequential(layers, loss=sg.cross_entropy, seed=0)
    rows = np.random.default_rng(0).random((4 * batch, 784), np.float32)
    labels = np.arange(4 * batch) % 10
    train(net.copy(), rows, labels, optimizer=optimizer, epochs=1, batch_size=batch)  # imports
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    result = train(net, rows, labels, optimizer=optimizer, epochs=2, batch_size=batch)
    peak = tracemalloc.get_traced_memory()[1] - before + net.vector.nbytes
    tracemalloc.stop()
    vectors = 2 * net.vector.nbytes + sum(a.nbytes for a in result.memory.values())
    outputs = [*widths[:-1], *([] if activation == "relu" else widths[1:-1]), widths[-1]]
    assert peak < 1.2 * (vectors + 4 * batch * sum(outputs))


# --- When it fails -------------------------------------------------------------------------------


def test_an_exploding_loss_ends_with_good_weights():
    layers = [Linear(6, 8), sg.log_softmax, Linear(8, 8), sg.log_softmax, Linear(8, 3)]
    net, until_then = (Sequential(layers, loss=sg.cross_entropy, seed=0) for _ in range(2))
    options = {"optimizer": SGD(1e20), "epochs": 5, "batch_size": 32, "seed": 0}
    weights, losses = [], []

    def note(progress):
        weights.append(until_then.vector.copy())
        losses.append(progress.batch_loss)

    train(until_then, X, Y, **options, on_step=note)
    result = train(net, X, Y, **options)
    assert result.status is Status.NOT_FINITE
    assert f"epoch 1, batch {len(losses) + 1}" in result.message
    assert "layer" in result.message
    assert "step size" in result.message
    assert np.isfinite(losses).all()
    good = weights[-2] if len(weights) > 1 else Sequential(layers, seed=0).vector
    assert np.array_equal(net.vector, good), "not the weights before the step that spoilt it"


@pytest.mark.parametrize("optimizer", [SGD(1e25, momentum=0.9), Adam(1e25), SGD(1e25)])
def test_a_bad_end_of_an_epoch_goes_one_step_back(optimizer):
    """The last step of all spoils the weights: no later loss is there to show it."""
    net, start = (Sequential([Linear(6, 3)], loss=sg.cross_entropy, seed=0) for _ in range(2))
    result = train(
        net, X[:64], Y[:64], optimizer=optimizer, epochs=1, batch_size=64,
        validation=(1e30 * X, Y),
    )  # fmt: skip
    assert result.status is Status.NOT_FINITE
    assert "validation loss became nan after epoch 1: the first bad layer is" in result.message
    assert np.array_equal(net.vector, start.vector)


def test_statistics_of_a_bad_batch_are_forgotten():
    bad = X.copy()
    bad[64 + 3, 2] = np.inf
    net, short = network(), network()
    train(net, bad, Y, epochs=1, shuffle=False, batch_size=64, seed=0)
    train(short, X[:64], Y[:64], epochs=1, shuffle=False, batch_size=64, seed=0)
    for name, own, wanted in zip(
        net.statistic_names, net.statistics, short.statistics, strict=True
    ):
        assert np.array_equal(own, wanted), name


def test_validation_rows_are_checked_before_the_first_step():
    net = network()
    before = net.vector.copy()
    for rows, labels, match in (
        (X[:, :5], Y, r"validation: X has shape"),
        (X, Y + 1, r"validation: target holds 3"),
        (X, Y[:-1], "validation: .*301 rows"),
        (X[:0], Y[:0], "validation: .*no rows"),
    ):
        with pytest.raises(ValueError, match=match):
            train(net, X, Y, epochs=1, validation=(rows, labels), **OPTIONS)
    assert np.array_equal(net.vector, before)


def test_a_bad_validation_row_is_named():
    bad = X.copy()
    bad[200, 3] = np.nan
    result = train(network(), X, Y, epochs=2, validation=(bad, Y), **OPTIONS)
    assert result.status is Status.NOT_FINITE
    assert "validation loss became nan after epoch 1: row 200" in result.message
    assert "nan in feature 3" in result.message


def test_a_bad_row_is_named():
    bad = X.copy()
    bad[200, 3] = np.nan
    net = network()
    result = train(net, bad, Y, epochs=1, shuffle=False, batch_size=32, seed=0)
    assert result.status is Status.NOT_FINITE
    assert result.message == (
        "The loss became nan in epoch 1, batch 7: row 8 of the batch holds nan in feature 3. "
        "Remove or impute such rows before training."
    )
    assert all(np.isfinite(a).all() for a in net.state().values())


@pytest.mark.parametrize("sparse", [False, True])
def test_a_number_that_the_network_cannot_hold_is_named(sparse):
    large = X.astype(np.float64)
    large[40, 2] = -1e60
    if sparse:
        large = csr_matrix(large)
    for arguments, options in (((large, Y), {}), ((X, Y), {"validation": (large, Y)})):
        net = Sequential([Linear(6, 3)], loss=sg.cross_entropy, seed=0)
        result = train(net, *arguments, epochs=1, shuffle=False, seed=0, **options)
        assert result.status is Status.NOT_FINITE
        assert result.message.endswith(
            ("row 40 of the batch", "row 40 of the validation data")[len(options)]
            + " holds -1e+60 in feature 2, which is -inf in the network's float32. Scale the "
            "features, or train the network in float64."
        )


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize(("width", "small"), [(16, True), (8192, False)])
def test_small_products_stay_on_one_thread_of_blas(width, small):
    net = Sequential([Linear(6, width), sg.relu, Linear(width, 3)], loss=sg.cross_entropy, seed=0)
    seen = []
    with threadpool_limits(2, user_api="blas"):
        train(net, X, Y, epochs=1, batch_size=301, on_epoch=lambda _: seen.append(blas_threads()))
        assert blas_threads() == {2}
    assert seen == [{1} if small else {2}]


@pytest.mark.skipif(blas_threads() == {1}, reason="BLAS has one thread anyway")
def test_trainings_that_overlap_give_blas_its_threads_back():
    first_runs, second_runs, first_done = (threading.Event() for _ in range(3))

    def first(_):
        first_runs.set()
        second_runs.wait(60)

    def second(_):
        second_runs.set()
        first_done.wait(60)
        seen.append(blas_threads())

    seen, before = [], blas_threads()
    threads = [
        threading.Thread(target=train, args=(network(), X, Y), kwargs={"on_epoch": f} | ONE)
        for f in (first, second)
    ]
    threads[0].start()
    assert first_runs.wait(60)
    threads[1].start()
    threads[0].join()
    first_done.set()
    threads[1].join()
    assert seen == [{1}]
    assert blas_threads() == before


def test_the_first_bad_layer_is_named():
    layers = [Linear(6, 8), sg.sigmoid, Linear(8, 4), sg.sigmoid, Linear(4, 3)]
    net = Sequential(layers, loss=sg.cross_entropy, seed=0)
    net.parameters[2][0, 0] = np.nan
    result = train(net, X, Y, epochs=1, seed=0)
    assert "layer 2, Linear(8, 4), whose weights are not finite" in result.message
    net = Sequential(layers, loss=sg.cross_entropy, seed=0)
    net.parameters[4][...] = 3e38
    result = train(net, X, Y, epochs=1, seed=0)
    assert "layer 4, Linear(4, 3), whose weights reach 3e+38: it gives" in result.message


def test_labels_without_a_unit():
    net = network()
    before = net.vector.copy()
    wrong = Y.copy()
    wrong[250] = 3
    with pytest.raises(ValueError, match=r"target holds 3 at \[250\]; class indices for 3 classes"):
        train(net, X, wrong, epochs=1, **OPTIONS)
    assert np.array_equal(net.vector, before), "steps were made before the label was seen"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((X[:0], Y[:0]), "no rows"),
        ((X, Y[:-1]), "301 rows"),
        ((X[:, :5], Y), r"wants \(rows, 6\)"),
        ((X[0], Y[:1]), r"\(rows, features\)"),
    ],
)
def test_arrays_that_do_not_fit(arguments, match):
    with pytest.raises(ValueError, match=match):
        train(network(), *arguments, epochs=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"patience": 3}, "validation"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"validation": (X,)}, "validation"),
        ({"sample_weight": np.ones(300)}, "sample_weight"),
    ],
)
def test_options_that_do_not_fit(options, match):
    with pytest.raises(ValueError, match=match):
        train(network(), X, Y, **options)


# --- Around it -----------------------------------------------------------------------------------


def test_progress_adds_up():
    steps, epochs = [], []
    train(network(), X, Y, epochs=2, on_step=steps.append, on_epoch=epochs.append, **OPTIONS)
    assert [p.step for p in steps] == list(range(1, 21))
    assert [p.batch for p in steps] == [*range(1, 11)] * 2
    assert all(p.batches == 10 and p.epochs == 2 for p in steps + epochs)
    sizes = [32] * 9 + [13]
    mean = np.average([p.batch_loss for p in steps[:10]], weights=sizes)
    assert epochs[0].loss == pytest.approx(mean, rel=1e-12) == pytest.approx(steps[9].loss)
    assert [p.epoch for p in epochs] == [1, 2]
    assert steps[-1].remaining == 0.0
    assert steps[0].remaining > 0.0
    assert 0.0 < epochs[1].accuracy <= 1.0
    assert [p.step_size for p in steps[:2]] == pytest.approx([0.004, 0.008], rel=1e-2)


def test_finding_a_step_size():
    net = network()
    before = net.state()
    search = find_step_size(net, X, Y, optimizer=SGD(), batch_size=32, largest=1e4)
    assert all(np.array_equal(a, before[n]) for n, a in net.state().items())
    assert 1e-3 < search.suggestion < 10.0
    assert len(search.step_sizes) == len(search.losses)
    assert np.all(np.diff(search.step_sizes) > 0)
    losses = [train(network(), X, Y, epochs=2, batch_size=32, optimizer=SGD(size)).history["loss"]
              for size in (search.suggestion / 1000, search.suggestion)]  # fmt: skip
    assert losses[1][-1] < losses[0][-1]


def test_no_step_size_where_no_step_can_be_made():
    with pytest.raises(ValueError, match=r"No step could be made: .* nan in feature 0"):
        find_step_size(network(), X * np.nan, Y)


def test_the_batch_with_a_bad_label_of_a_stream_is_named():
    stream = [(X[:128], Y[:128]), (X[:128], Y[:128] + 1)]
    with pytest.raises(ValueError, match=r"epoch 1, batch \d: target holds 3"):
        train(network(), stream, epochs=1, shuffle=False, batch_size=64)


def test_lbfgs_reaches_the_optimum_of_a_softmax_regression():
    from sklearn.linear_model import LogisticRegression

    decay = 0.01
    net = Sequential([Linear(6, 3)], loss=sg.cross_entropy, dtype=np.float64, seed=0)
    solution = train_lbfgs(net, X, NOISY, weight_decay=decay, tol=1e-9)
    theirs = LogisticRegression(C=1 / (decay * len(X)), tol=1e-10, max_iter=1000)
    theirs.fit(X.astype(np.float64), NOISY)
    np.testing.assert_allclose(net.parameters[0], theirs.coef_, atol=1e-7)
    assert np.array_equal(solution.x, net.vector)
    for layer in (Dropout(0.5), BatchNorm(6)):
        with pytest.raises(ValueError, match="one fixed function"):
            train_lbfgs(Sequential([layer, Linear(6, 3)], loss=sg.cross_entropy), X, Y)


def test_an_optimiser_remembers_other_data():
    """Two chunks, one step each: as two batches of one epoch without shuffling."""
    one, two = (Sequential([Linear(6, 3)], loss=sg.cross_entropy, seed=0) for _ in range(2))
    options = {"epochs": 1, "batch_size": 10, "optimizer": Adam(0.1)}
    first = train(one, X[:10], Y[:10], **options)
    second = train(one, X[10:20], Y[10:20], memory=first.memory, **options)
    train(two, X[:20], Y[:20], shuffle=False, **options)
    assert int(second.memory["steps"]) == 2
    # One batch is shuffled within itself, which only rounding sees.
    np.testing.assert_allclose(one.vector, two.vector, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="SGD remembers"):
        train(one, X, Y, optimizer=SGD(0.1), memory=first.memory)
    other = Sequential([Linear(6, 4)], loss=sg.cross_entropy)
    with pytest.raises(ValueError, match="another architecture"):
        train(other, X, Y, optimizer=Adam(0.1), memory=first.memory)
