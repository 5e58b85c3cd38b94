"""Texts, svmlight and Parquet through train, evaluate and predict."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer

import softgrad as sg
from softgrad.cli.app import run
from softgrad.data.text import TextFeatures
from softgrad.modelfile import ModelFileError, TrainedOn, load_model, save_model
from tests.data.files import write
from tests.data.test_modelfile import rewrite

BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77"

SENTENCES = [
    ("Where is my card? It hasn't arrived", "card"),
    ("My new card, it never came", "card"),
    ("the card is lost in the post", "card"),
    ("I waited two weeks for the card", "card"),
    ("What's the exchange rate today", "rate"),
    ("the rate you charged was wrong", "rate"),
    ("Which rate applies to euros?", "rate"),
    ("rate for <b>dollars</b>, please", "rate"),
] * 3
HEADER = ["id", "message", "topic"]


def rows_of(out):
    return list(csv.reader(io.StringIO(out)))


def table(sentences=SENTENCES, header=HEADER):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows([i, text, topic] for i, (text, topic) in enumerate(sentences))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.csv", table())
    return tmp_path


TRAIN = ["train", "t.csv", "--target", "topic", "--text", "message", "--out", "out"]
MODEL = "out/model.softgrad"


def test_text_from_training_to_prediction(folder, capsys):
    assert run(TRAIN) == 0
    out = capsys.readouterr().out
    assert "gradient agrees" in out
    page = (folder / "out" / "report.html").read_text()
    assert "<th>card</th><td>" in page
    assert "card" in page.split("<th>card</th><td>")[1].split("</td>")[0]
    assert "<b>dollars</b>" not in page
    write(folder / "new.csv", "message,other\nwhere is the card,1\n the RATE? ,2\n")
    assert run(["predict", MODEL, "new.csv"]) == 0
    assert [row[0] for row in rows_of(capsys.readouterr().out)] == ["prediction", "card", "rate"]
    assert run(["evaluate", MODEL, "t.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


def test_the_features_are_scikit_learns_and_come_back_exactly(folder, capsys):
    run(TRAIN)
    model, trained_on = load_model(folder / MODEL)
    texts = [text for text, _ in SENTENCES]
    features = TextFeatures.learn(texts, "message")
    options = {"ngram_range": (1, 2), "sublinear_tf": True, "token_pattern": r"(?u)\b\w+\b"}
    theirs = TfidfVectorizer(**options).fit(texts)
    assert features.vocabulary == theirs.get_feature_names_out().tolist()
    new = ["a card, card, CARD: a rate and a word unseen", "wechselkurs?"]
    assert (features.rows(new) != theirs.transform(new)).nnz == 0

    fitted = sg.SoftmaxRegression().fit(features.rows(texts), [t for _, t in SENTENCES])
    save_model(fitted, folder / "m", TrainedOn("t", 24, "topic", text=features))
    loaded, about = load_model(folder / "m")
    assert about.text.vocabulary == features.vocabulary
    ours, again = features.rows(new), about.text.rows(new)
    assert (ours != again).nnz == 0
    assert loaded.predict_proba(again).tobytes() == fitted.predict_proba(ours).tobytes()
    assert model.n_features_in_ == len(trained_on.text.vocabulary)


def test_words_are_learnt_from_the_training_rows_alone(folder):
    unique = [(f"{text} token{i}", topic) for i, (text, topic) in enumerate(SENTENCES)]
    write(folder / "t.csv", table(unique))
    assert run([*TRAIN, "--validation", "0.25"]) == 0
    _, trained_on = load_model(folder / MODEL)
    tokens = [w for w in trained_on.text.vocabulary if w.startswith("token")]
    assert len(tokens) == 18


def test_text_of_parquet_and_of_a_table_without_names(folder, capsys):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    texts, topics = zip(*SENTENCES, strict=True)
    pq.write_table(pa.table({"message": texts, "topic": topics}), folder / "t.parquet")
    assert run(["train", "t.parquet", *TRAIN[2:]]) == 0
    capsys.readouterr()
    assert run(["predict", MODEL, "t.parquet"]) == 0
    from_parquet = capsys.readouterr().out
    assert run(["predict", MODEL, "t.csv"]) == 0
    assert capsys.readouterr().out == from_parquet
    bare = "".join(f"{i},{0.5}\n" for i in range(3))
    write(folder / "bare.csv", bare)
    assert run(["train", "bare.csv", "--target", "1", "--text", "1"]) == 2
    assert "both name '1'" in capsys.readouterr().err


BAD = {
    "no such column": ([*TRAIN[:5], "massage"], "Did you mean 'message'?"),
    "missing text": (["train", "gap.csv", *TRAIN[2:]], "line 3, column 'message' has no text"),
    "no words": (["train", "signs.csv", *TRAIN[2:]], "column 'message' holds no words"),
    "drop": ([*TRAIN, "--drop", "id"], "Omit --drop"),
    "text of digits": (["train", "digits", "--text", "message"], "digits has no column of text"),
    "text of svmlight": (["train", "t.svm", "--text", "a"], "t.svm has no column of text"),
    "numbers": (["train", "t.csv", "--target", "topic"], "for a column of sentences: --text"),
    "predict": (["predict", "model", "other.csv"], "lacks the column 'message', which the model"),
    "gap": (["predict", "model", "gap.csv"], "line 3, column 'message' has no text"),
    "evaluate": (["evaluate", "model", "digits"], "digits has no column of text"),
    "target of svmlight": (["train", "t.svm", "--target", "y"], "Omit --target"),
    "bad svmlight": (["train", "bad.svm"], "bad.svm is not a well-formed svmlight file"),
    "svmlight NaN": (["train", "nan.svm"], "row 2, feature 3 holds NaN"),
    "svmlight labels": (["train", "labels.svm"], "holds labels only"),
    "svmlight measured": (["train", "measured.svm"], "measurements"),
    "two counts": (["predict", "counted", "zero.svm"], "zero.svm has a feature 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_line_and_nothing_written(folder, capsys, case):
    arguments, words = BAD[case]
    write(folder / "gap.csv", "message,topic\nhi,card\n,rate\n")
    write(folder / "signs.csv", table([("?!", "a"), ("...", "b")] * 8))
    write(folder / "other.csv", "text,topic\nhi,card\n")
    write(folder / "t.svm", "0 1:2 3:1\n1 2:1\n" * 9)
    write(folder / "bad.svm", "0 1:2 3:1\n1 two:1\n")
    write(folder / "nan.svm", "0 1:2 3:1\n1 3:nan\n")
    write(folder / "labels.svm", "0\n1\n")
    write(folder / "measured.svm", "0.5 1:1\n1 2:1\n")
    write(folder / "zero.svm", "0 0:1\n1 2:1\n")
    texts = [text for text, _ in SENTENCES]
    features = TextFeatures.learn(texts, "message")
    labels = [topic for _, topic in SENTENCES]
    model = sg.SoftmaxRegression().fit(features.rows(texts), labels)
    save_model(model, folder / "model", TrainedOn("t", 24, "topic", text=features))
    counted = sg.SoftmaxRegression().fit(np.eye(3), [0, 1, 0])
    names = ["1", "2", "3"]
    save_model(counted, folder / "counted", TrainedOn("t", 3, "y", names, zero_based=False))
    before = sorted(path.name for path in folder.rglob("*"))
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert "loss" not in captured.out
    assert sorted(path.name for path in folder.rglob("*") if path.name != "out") == before


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight_from_training_to_prediction(folder, capsys, zero_based):
    rng = np.random.default_rng(0)
    X = sparse.random(300, 60, 0.1, "csr", random_state=rng)
    y = np.asarray((X @ rng.standard_normal((60, 3))).argmax(axis=1)).ravel()
    if zero_based:
        X = X.tolil()
        X[0, 0] = 1.0
        X = X.tocsr()
    dump_svmlight_file(X, y, "t.svm", zero_based=zero_based)
    assert run(["train", "t.svm", "-C", "10", "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert "60 features" in out
    model, trained_on = load_model(folder / MODEL)
    assert trained_on.zero_based is zero_based
    few = X[:50, :20]  # a file that lacks the last features, and one that has more
    dump_svmlight_file(few, y[:50], "few.libsvm", zero_based=zero_based)
    wide = sparse.hstack((X, np.ones((300, 2))), format="csr")
    dump_svmlight_file(wide, y, "wide.svmlight", zero_based=zero_based)
    padded = sparse.hstack((few, np.zeros((50, 40))), format="csr")
    for name, rows in (("t.svm", X), ("few.libsvm", padded), ("wide.svmlight", X)):
        assert run(["predict", MODEL, name]) == 0
        predicted = [int(row[0]) for row in rows_of(capsys.readouterr().out)[1:]]
        assert predicted == model.predict(rows).tolist()
    assert run(["evaluate", MODEL, "wide.svmlight", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == model.score(X, y)


def test_parquet_from_training_to_prediction(folder, capsys):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    bunch = load_iris()
    names = [name.split(" (")[0].replace(" ", "_") for name in bunch.feature_names]
    columns = dict(zip(names, bunch.data.T, strict=True))
    labels = bunch.target_names[bunch.target].tolist()
    pq.write_table(pa.table(columns | {"species": labels}), folder / "i.parquet")
    lines = [
        ",".join([*map(repr, map(float, row)), t])
        for row, t in zip(bunch.data, labels, strict=True)
    ]
    write(folder / "i.csv", "\n".join([",".join([*names, "species"]), *lines]) + "\n")
    for source, out in (("i.parquet", "p"), ("i.csv", "c")):
        assert run(["train", source, "--target", "species", "--out", out]) == 0
    one, two = (load_model(folder / out / "model.softgrad")[0] for out in "pc")
    assert one.coef_.tobytes() == two.coef_.tobytes()
    mixed = pa.table({"species": labels} | dict(reversed(columns.items())) | {"note": labels})
    pq.write_table(mixed, folder / "mixed.parquet")
    capsys.readouterr()
    for model, source in (("p", "mixed.parquet"), ("c", "i.csv"), ("c", "i.parquet")):
        assert run(["predict", f"{model}/model.softgrad", source]) == 0
        predicted = [row[0] for row in rows_of(capsys.readouterr().out)[1:]]
        assert predicted == one.predict(bunch.data).tolist()
    assert run(["evaluate", "p/model.softgrad", "mixed.parquet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_rows"] == 150
    assert run(["train", "mixed.parquet", "--target", "species"]) == 2
    assert "column 'note' holds string" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", ["words", "idf", "options"])
def test_an_altered_vocabulary_is_refused(folder, spoil):
    texts = ["red fish", "blue fish"] * 3
    features = TextFeatures.learn(texts, "message")
    model = sg.SoftmaxRegression().fit(features.rows(texts), [0, 1] * 3)
    save_model(model, folder / "m", TrainedOn("t", 6, text=features))
    if spoil == "words":
        with zipfile.ZipFile(folder / "m") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["vocabulary.json"] = members["vocabulary.json"].replace(b'"blue"', b'"bleu"')
        with zipfile.ZipFile(folder / "m", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    elif spoil == "idf":
        rewrite(folder / "m", idf=np.full(len(features.idf), np.nan))
    else:
        rewrite(folder / "m", header={"text": {"column": "message", "options": {"x": 1}}})
    with pytest.raises(ModelFileError, match=r"Train it again|Train or copy it again"):
        load_model(folder / "m")


@pytest.mark.slow
@pytest.mark.skipif(not BANKING.exists(), reason="no shared/data/banking77 beside the repository")
def test_banking77(tmp_path, capsys):
    target = ["--target", "category", "--text", "text", "-C", "10", "--tol", "1e-3"]
    assert run(["train", str(BANKING / "train.csv"), *target, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    model = str(tmp_path / "model.softgrad")
    assert run(["evaluate", model, str(BANKING / "test.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.87
