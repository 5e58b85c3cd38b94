"""Model files: what goes in comes out, and nothing damaged or foreign comes in."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest

import softgrad as sg
from softgrad.modelfile import (
    FORMAT_VERSION,
    ModelFileError,
    TrainedOn,
    load_model,
    read_archive,
    save_model,
)

X = np.random.default_rng(0).standard_normal((40, 3))
LABELS = {
    "integers": np.arange(40) % 3,
    "text": np.array(["red", "green", "blau"])[np.arange(40) % 3],
    "objects": np.array(["red", "green", "blau"], dtype=object)[np.arange(40) % 3],
    "two classes": np.arange(40) % 2,
    "booleans": np.arange(40) % 2 == 0,
}


def saved(path, y=LABELS["integers"], **options):
    model = sg.SoftmaxRegression(**options).fit(X, y)
    save_model(model, path, TrainedOn("t.csv", 40, "kind", ["a", "b", "c"], (1, 3), 16.0))
    return model


@pytest.mark.parametrize("kind", LABELS)
def test_there_and_back(tmp_path, kind):
    model = saved(tmp_path / "m", LABELS[kind])
    loaded, trained_on = load_model(tmp_path / "m")
    assert loaded.predict(X).tolist() == model.predict(X).tolist()
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert trained_on == TrainedOn("t.csv", 40, "kind", ["a", "b", "c"], (1, 3), 16.0)


def test_what_the_fit_found_comes_back(tmp_path):
    model = saved(tmp_path / "m")
    loaded, _ = load_model(tmp_path / "m")
    for name in ("n_iter_", "objective_", "gap_", "solver_"):
        assert getattr(loaded, name) == getattr(model, name)
    save_model(loaded, tmp_path / "again", TrainedOn("t", 40))
    assert load_model(tmp_path / "again")[0].gap_ == model.gap_


def test_a_gap_that_is_not_known_is_still_json(tmp_path):
    model = saved(tmp_path / "m")
    model.gap_ = np.nan
    save_model(model, tmp_path / "m", TrainedOn("t", 40))
    with zipfile.ZipFile(tmp_path / "m") as archive:
        assert json.loads(archive.read("softgrad.json"))["gap"] is None
    assert load_model(tmp_path / "m")[0].gap_ == np.inf


def test_files_from_before_the_proof_still_load(tmp_path):
    model = saved(tmp_path / "m")
    rewrite(tmp_path / "m", without=["solver", "gap", "gap_certified"])
    loaded, _ = load_model(tmp_path / "m")
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert not hasattr(loaded, "gap_")


@pytest.mark.parametrize(
    "options",
    [
        {"C": np.inf},
        {"penalty": None},
        {"class_weight": {0: 2.0}},
        {"class_weight": "balanced"},
        {"solver": "newton-blocks"},
    ],
)
def test_parameters_come_back(tmp_path, options):
    model = saved(tmp_path / "m", **options)
    assert load_model(tmp_path / "m")[0].get_params() == model.get_params()


def test_the_same_model_gives_the_same_bytes(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_an_altered_byte_is_refused_or_has_no_effect(tmp_path):
    """Wherever it is: in a flag of the archive, its directory, the header or an array."""
    model = saved(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    directory = content.index(b"PK\x01\x02")
    positions = [*range(0, directory, 23), *range(directory, len(content))]
    for position in positions:
        for byte in {content[position] ^ 1, content[position] ^ 8, 255} - {content[position]}:
            altered = content[:position] + bytes([byte]) + content[position + 1 :]
            (tmp_path / "t").write_bytes(altered)
            try:
                again, _ = load_model(tmp_path / "t")
            except ModelFileError:
                continue
            assert (again.coef_ == model.coef_).all()


def test_what_the_system_says_of_the_file_is_passed_on(tmp_path):
    loop = tmp_path / "m"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        read_archive(loop, "softgrad model", 3)


def test_every_truncation_is_refused(tmp_path):
    saved(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        (tmp_path / "t").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="Train"):
            load_model(tmp_path / "t")


def test_every_flipped_byte_of_the_arrays_is_refused(tmp_path):
    model = saved(tmp_path / "m")
    content = bytearray((tmp_path / "m").read_bytes())
    start = content.index(model.coef_.tobytes())
    for offset in range(start, start + model.coef_.nbytes, 7):
        content[offset] ^= 1
        (tmp_path / "t").write_bytes(content)
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "t")
        content[offset] ^= 1


def rewrite(path, header=None, without=(), **arrays):
    """The archive with some members changed, and its checksums made to fit where they exist.

    ``without`` are to be missing in the header.
    """
    import hashlib
    import io

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(members["softgrad.json"])
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        members[f"{name}.npy"] = stream.getvalue()
        content["sha256"][name] = hashlib.sha256(stream.getvalue()).hexdigest()
    content.update(header or {})
    for key in without:
        del content[key]
    members["softgrad.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_altered_arrays_do_not_match_their_checksum(tmp_path):
    saved(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["coef.npy"] = members["coef.npy"][:-1] + b"\x01"
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ModelFileError, match="coef was altered"):
        load_model(tmp_path / "m")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the file ran code",))


def test_code_is_never_run(tmp_path):
    saved(tmp_path / "m")
    rewrite(tmp_path / "m", classes=np.array([Bomb()] * 3, dtype=object))
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "m")
    (tmp_path / "p").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "p")


@pytest.mark.parametrize(
    "arrays",
    [
        {"coef": np.zeros((2, 3))},
        {"coef": np.zeros(9)},
        {"coef": np.zeros((3, 3), np.float32)},
        {"coef": np.full((3, 3), np.nan)},
        {"intercept": np.zeros(2)},
        {"classes": np.arange(4)},
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays):
    saved(tmp_path / "m")
    rewrite(tmp_path / "m", **arrays)
    with pytest.raises(ModelFileError, match="do not fit"):
        load_model(tmp_path / "m")


def test_a_later_format_asks_for_a_later_softgrad(tmp_path):
    saved(tmp_path / "m")
    rewrite(tmp_path / "m", header={"format_version": FORMAT_VERSION + 1})
    with pytest.raises(ModelFileError, match="Upgrade softgrad"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "header", [{"format": "other"}, {"parameters": 5}, {"trained_on": {"x": 1}}]
)
def test_foreign_headers(tmp_path, header):
    saved(tmp_path / "m")
    rewrite(tmp_path / "m", header=header)
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "m")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelFileError, match="no model file"):
        load_model(tmp_path / "none")
    with pytest.raises(ModelFileError, match=r"is a folder.*model\.softgrad"):
        load_model(tmp_path)


def test_a_half_written_model_never_replaces_a_good_one(tmp_path, monkeypatch):
    model = saved(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    write = zipfile.ZipFile.writestr
    written = []

    def full_disk(self, name, data, *args, **options):
        written.append(name)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        write(self, name, data, *args, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, tmp_path / "m", TrainedOn("t", 40))
    assert (tmp_path / "m").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
