"""A CSV file is parsed once; later passes read plain numbers from a temporary file."""

from __future__ import annotations

import itertools
import os
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from softgrad.data.batches import CsvBatches, cache

pytest.importorskip("pyarrow")
N = 501


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        f"{a!r},{b!r},{c:.3f},{'uvw'[k]}"
        for (a, b, c), k in zip(
            np.abs(rng.standard_normal((N, 3))).tolist(), rng.integers(0, 3, N), strict=True
        )
    ]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(["a,b,s,kind", *lines]) + "\n")
    return file


def source(path, **options):
    return CsvBatches(path, "kind", weight="s", read_bytes=4000, **options)


def all_of(batches):
    batches = list(batches)
    assert len(batches) > 3
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def same(one, two):
    return all((a == b).all() and a.dtype == b.dtype for a, b in zip(one, two, strict=True))


@pytest.fixture
def parsed(monkeypatch):
    """How often the file was parsed."""
    counted = SimpleNamespace(times=0)
    of_all = CsvBatches._parsed

    def counting(self):
        counted.times += 1
        return of_all(self)

    monkeypatch.setattr(CsvBatches, "_parsed", counting)
    return counted


def test_later_passes_are_the_first_without_parsing(path, parsed):
    rows = source(path)
    first = all_of(rows)
    assert len(first[0]) == N
    assert same(all_of(rows), first)
    assert same(all_of(rows), first)
    assert parsed.times == 1
    uncached = source(path, cache=False)
    for _ in range(2):
        assert same(all_of(uncached), first)
    assert parsed.times == 3


def test_passes_side_by_side_and_broken_off(path, parsed):
    rows = source(path)
    next(iter(rows))  # leaves no half of the file behind
    pairs = list(itertools.zip_longest(rows, rows))
    assert all((a.X == b.X).all() and (a.y == b.y).all() for a, b in pairs)
    assert parsed.times == 3
    pairs = list(itertools.zip_longest(rows, rows))
    assert all((a.X == b.X).all() for a, b in pairs)
    assert parsed.times == 3
    assert same(all_of(rows), all_of(source(path, cache=False)))


def test_a_file_that_changed_is_parsed_again(path, parsed):
    rows = source(path)
    first = all_of(rows)
    text = path.read_text()
    path.write_text(text.replace("\n0.", "\n9.", 1))
    os.utime(path, (1, 1))
    assert not same(all_of(rows), first)
    assert parsed.times == 2


@pytest.mark.parametrize("trouble", ["full", "memory", "folder", "writing"])
def test_without_a_place_nothing_is_kept(path, parsed, monkeypatch, tmp_path, trouble):
    if trouble == "full":
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    elif trouble == "memory":
        monkeypatch.setattr(cache, "_is_memory", lambda _: True)
    elif trouble == "folder":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    else:

        def full(self, data):
            raise OSError(28, "No space left on device")

        made = tempfile.TemporaryFile

        def unwritable(**options):
            file = made(**options)
            return SimpleNamespace(write=lambda data: full(file, data), close=file.close)

        monkeypatch.setattr(cache.tempfile, "TemporaryFile", unwritable)
    rows = source(path)
    first = all_of(rows)
    assert same(all_of(rows), first)
    assert parsed.times == 2


def test_memory_that_looks_like_a_disk_is_seen(monkeypatch, tmp_path):
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n"
    monkeypatch.setattr(cache.Path, "read_text", lambda self: mounts)
    assert cache._is_memory(cache.Path("/dev/shm"))
    assert not cache._is_memory(cache.Path("/home"))
