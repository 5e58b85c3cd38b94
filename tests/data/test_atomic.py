"""A file appears whole or not at all."""

from __future__ import annotations

import os

import pytest

from softgrad.data.atomic import atomic_write, write_together


def test_content_arrives(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o400


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a").write_bytes(b"old")

    def fail_halfway():
        with atomic_write(tmp_path / "a") as file:
            file.write(b"half of the ne")
            file.flush()
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_old_file_stands_until_the_end(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"old"


def test_files_written_together_appear_together(tmp_path):
    write_together({tmp_path / "a": b"new a", tmp_path / "b": b"new b"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"new a",
        "b": b"new b",
    }
    assert (tmp_path / "a").stat().st_mode & 0o400


def test_a_failure_at_the_last_file_leaves_all_old_ones(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"old")
    written = []

    def full(handle):
        written.append(handle)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_together({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"old",
        "b": b"old",
    }
