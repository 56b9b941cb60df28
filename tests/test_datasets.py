"""Data sets from small archives in the real formats, without a network."""

import gzip
import hashlib
import json
import os
import pickle
import tarfile

import numpy as np
import pytest

from kcore import datasets
from kcore.datasets.archives import load_npz


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("KCORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


def object_array(lists):
    out = np.empty(len(lists), object)
    out[:] = lists
    return out


def write_mnist(path, n=5):
    rng = np.random.default_rng(0)
    parts = {k: rng.integers(0, 255, (n, 28, 28), "uint8") for k in ("x_train", "x_test")}
    parts |= {k: rng.integers(0, 10, n, "uint8") for k in ("y_train", "y_test")}
    np.savez(path, **parts)
    return parts


def test_mnist_from_a_local_path_and_a_file_url(tmp_path, cache):
    parts = write_mnist(tmp_path / "m.npz")
    for path in (tmp_path / "m.npz", (tmp_path / "m.npz").as_uri()):
        (x, y), (x_test, y_test) = datasets.mnist.load_data(path)
        np.testing.assert_array_equal(x, parts["x_train"])
        np.testing.assert_array_equal(y_test, parts["y_test"])
        assert x.dtype == y.dtype == x_test.dtype == np.uint8


def test_the_cache_is_used_when_the_hash_is_right(tmp_path, cache, monkeypatch):
    cache.mkdir(parents=True)
    parts = write_mnist(cache / "mnist.npz")
    digest = hashlib.sha256((cache / "mnist.npz").read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.mnist, "_HASH", digest)
    (x, _), _ = datasets.mnist.load_data()
    np.testing.assert_array_equal(x, parts["x_train"])


def test_offline_error_says_what_to_do(cache, monkeypatch):
    monkeypatch.setattr(datasets.mnist, "STORAGE", "http://127.0.0.1:9/")  # the discard port: nobody listens
    with pytest.raises(ConnectionError, match=r"offline.*put it at .*mnist.npz"):
        datasets.mnist.load_data()
    assert not (cache / "mnist.npz").exists()


def test_missing_local_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a file name in the cache"):
        datasets.mnist.load_data(tmp_path / "absent.npz")


def test_fashion_mnist(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3": rng.integers(0, 255, (4, 28, 28), "uint8"),
        "train-labels-idx1": rng.integers(0, 9, 4),
    }
    arrays |= {
        "t10k-images-idx3": rng.integers(0, 255, (2, 28, 28), "uint8"),
        "t10k-labels-idx1": rng.integers(0, 9, 2),
    }
    for name, array in arrays.items():
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        with gzip.open(tmp_path / f"{name}-ubyte.gz", "wb") as file:
            file.write(header + array.astype("uint8").tobytes())
    (x, y), (x_test, y_test) = datasets.fashion_mnist.load_data(tmp_path)
    np.testing.assert_array_equal(x, arrays["train-images-idx3"])
    np.testing.assert_array_equal(y, arrays["train-labels-idx1"])
    assert x_test.shape == (2, 28, 28) and y_test.shape == (2,)
    whole = (tmp_path / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(whole[:-6])
    with pytest.raises(ValueError, match="whole gzip file"):
        datasets.fashion_mnist.load_data(tmp_path)


def write_cifar(folder, inner, names, labels):
    rng = np.random.default_rng(0)
    (folder / inner).mkdir()
    written = {}
    for name in names:
        data = rng.integers(0, 255, (3, 3072), "uint8")
        batch = {b"data": data, b"batch_label": b"b", **{key: [1, 0, 2] for key in labels}}
        (folder / inner / name).write_bytes(pickle.dumps(batch, protocol=2))
        written[name] = data
    with tarfile.open(folder / "c.tar.gz", "w:gz") as archive:
        archive.add(folder / inner, inner)
    return written


def test_cifar10_from_an_archive(tmp_path, cache):
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    written = write_cifar(tmp_path, "cifar-10-batches-py", names, [b"labels"])
    for path in (tmp_path / "c.tar.gz", tmp_path, (tmp_path / "c.tar.gz").as_uri()):
        (x, y), (x_test, y_test) = datasets.cifar10.load_data(path)
        assert x.shape == (15, 32, 32, 3) and y.shape == (15, 1) and x_test.shape == (3, 32, 32, 3)
        assert x.dtype == y.dtype == y_test.dtype == np.uint8
        assert x[3, 4, 5, 1] == written["data_batch_2"][0, 1024 + 4 * 32 + 5]  # second batch, green


def test_cifar100(tmp_path, cache):
    write_cifar(tmp_path, "cifar-100-python", ["train", "test"], [b"fine_labels", b"coarse_labels"])
    (x, y), _ = datasets.cifar100.load_data("coarse", path=tmp_path / "c.tar.gz")
    assert x.shape == (3, 32, 32, 3) and y.tolist() == [[1], [0], [2]]
    with pytest.raises(ValueError, match="did you mean 'fine'"):
        datasets.cifar100.load_data("fin")


REVIEWS = [[1, 5, 9], [2, 2, 2, 2, 2, 2], [7], [3, 4]]


def write_imdb(path):
    x, y = object_array(REVIEWS), np.array([0, 1, 1, 0])
    np.savez(path, x_train=x, y_train=y, x_test=x[::-1], y_test=y[::-1])


def test_imdb(tmp_path):
    write_imdb(tmp_path / "i.npz")
    (x, y), (x_test, _) = datasets.imdb.load_data(tmp_path / "i.npz")
    # without num_words the largest number of all, 12, is left out too: so does Keras
    assert sorted(x.tolist()) == [[1, 4, 8, 2], [1, 5, 5, 5, 5, 5, 5], [1, 6, 7], [1, 10]] and len(x_test) == 4
    assert {tuple(r): label for r, label in zip(x, y)}[(1, 10)] == 1
    (x, _), _ = datasets.imdb.load_data(tmp_path / "i.npz", num_words=8, skip_top=5, maxlen=5, start_char=None)
    # ranks 5 9, 3 4, 7 and 1 moved up by 3; below 5 or from 8 on they become 2
    assert sorted(x.tolist()) == [[2], [2, 2, 2], [6, 7]]
    (x, _), _ = datasets.imdb.load_data(tmp_path / "i.npz", num_words=5, oov_char=None, start_char=None, index_from=0)
    assert sorted(x.tolist()) == [[], [1], [2] * 6, [3, 4]]
    with pytest.raises(ValueError, match="maxlen"):
        datasets.imdb.load_data(tmp_path / "i.npz", maxlen=1)


def test_text_data_sets_agree_with_keras(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    write_imdb(tmp_path / "i.npz")
    np.savez(tmp_path / "r.npz", x=object_array(REVIEWS), y=np.arange(4))
    for ours, name in ((datasets.imdb, "i.npz"), (datasets.reuters, "r.npz")):
        theirs = getattr(keras.datasets, ours.__name__.split(".")[-1])
        monkeypatch.setitem(theirs.load_data.__globals__, "get_file", lambda fname=None, **_: fname)
        for options in ({}, {"num_words": 7, "seed": 3}, {"oov_char": None, "num_words": 6}, {"start_char": None}):
            expected = theirs.load_data(str(tmp_path / name), **options)
            for (x, y), (x_keras, y_keras) in zip(ours.load_data(tmp_path / name, **options), expected):
                assert x.tolist() == [list(row) for row in x_keras] and y.tolist() == list(y_keras)
        monkeypatch.undo()


def test_word_index(tmp_path):
    (tmp_path / "w.json").write_text(json.dumps({"the": 1}))
    assert datasets.imdb.get_word_index(tmp_path / "w.json") == {"the": 1}
    assert datasets.reuters.get_word_index(tmp_path / "w.json") == {"the": 1}
    assert len(datasets.reuters.get_label_names()) == 46


@pytest.mark.parametrize("module", ["boston_housing", "california_housing"])
def test_housing(tmp_path, module):
    x = np.arange(20.0).reshape(10, 2)
    np.savez(tmp_path / "h.npz", x=x, y=x.sum(1))
    (x_train, y_train), (x_test, _) = getattr(datasets, module).load_data(path=tmp_path / "h.npz")
    assert x_train.shape == (8, 2) and x_test.shape == (2, 2)
    np.testing.assert_array_equal(x_train.sum(1), y_train)
    order = np.arange(10)
    np.random.RandomState(113).shuffle(order)
    np.testing.assert_array_equal(x_train, x[order[:8]])
    with pytest.raises(ValueError, match="test_split"):
        getattr(datasets, module).load_data(path=tmp_path / "h.npz", test_split=1.0)


class Evil:
    def __reduce__(self):
        return os.system, ("touch owned",)


@pytest.mark.parametrize("bad", [[Evil()], [np.random.RandomState(0)], [{"a": Evil()}]])
def test_no_code_runs(tmp_path, bad, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "e.npz", x=object_array(bad))
    with pytest.raises(ValueError, match="expected plain arrays and lists"):
        load_npz(str(tmp_path / "e.npz"), "x")
    assert not (tmp_path / "owned").exists()


def test_damaged_archives(tmp_path):
    write_imdb(tmp_path / "i.npz")
    whole = (tmp_path / "i.npz").read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="load_data"):
            load_npz(str(tmp_path / "cut.npz"), "x_train")
    with pytest.raises(ValueError, match=r"expected arrays .*absent"):
        load_npz(str(tmp_path / "i.npz"), "absent")


def test_arrays_of_every_order_and_type(tmp_path):
    arrays = {
        "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "b": np.arange(3, dtype=">i2"),
        "c": np.float32(3),
        "d": object_array([[1, 2], np.arange(3, dtype="int16"), [3.5]]),
    }
    np.savez(tmp_path / "n.npz", **arrays)
    for array, expected in zip(load_npz(str(tmp_path / "n.npz"), *arrays), arrays.values()):
        assert array.shape == expected.shape and array.dtype == expected.dtype
        for item, wanted in zip(array.ravel(), expected.ravel()):
            np.testing.assert_array_equal(item, wanted)
