"""Downloads, labels, padding, pictures, folders of data, diagrams."""

import hashlib
import http.server
import os
import random
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import preprocessing, utils

# ---------------------------------------------------------------------------------------------------- get_file


@pytest.fixture
def server(tmp_path):
    """A folder whose files have file:// URLs, and a cache."""
    (tmp_path / "a.txt").write_text("hello")
    return tmp_path


def test_get_file_downloads_once_and_checks_the_hash(server):
    origin, cache = (server / "a.txt").as_uri(), server / "cache"
    sha, md5 = hashlib.sha256(b"hello").hexdigest(), hashlib.md5(b"hello").hexdigest()
    path = utils.get_file(origin=origin, cache_dir=cache, file_hash=sha)
    assert path == str(cache / "datasets" / "a.txt") and Path(path).read_text() == "hello"
    (server / "a.txt").write_text("other")
    assert Path(utils.get_file(origin=origin, cache_dir=cache, md5_hash=md5)).read_text() == "hello"
    with pytest.raises(ValueError, match=f"hash {sha}, received"):
        utils.get_file(origin=origin, cache_dir=cache, file_hash=sha, force_download=True)
    assert Path(path).read_text() == "hello"  # a bad download replaces nothing
    assert os.listdir(cache / "datasets") == ["a.txt"]
    assert Path(utils.get_file("b.txt", origin=origin, cache_dir=cache, cache_subdir="x")).read_text() == "other"


def test_get_file_replaces_a_damaged_cached_file(server):
    cache = server / "cache" / "datasets"
    cache.mkdir(parents=True)
    (cache / "a.txt").write_text("hel")
    sha = hashlib.sha256(b"hello").hexdigest()
    path = utils.get_file(origin=str(server / "a.txt"), cache_dir=server / "cache", file_hash=sha)
    assert Path(path).read_text() == "hello"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves 200,000 bytes at /whole, half of what it promises at /cut, and nothing else."""

    def do_GET(self):
        self.send_response(200 if self.path in ("/whole", "/cut") else 404)
        self.send_header("Content-Length", "200000")
        self.end_headers()
        self.wfile.write(b"x" * {"/whole": 200_000, "/cut": 100_000}.get(self.path, 0))

    def log_message(self, *_):
        pass


def test_get_file_over_http(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert Path(utils.get_file(origin=f"{url}/whole", cache_dir=tmp_path)).read_bytes() == b"x" * 200_000
        for name in ("cut", "absent"):
            with pytest.raises(ConnectionError, match="get_file"):
                utils.get_file(origin=f"{url}/{name}", cache_dir=tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert os.listdir(tmp_path / "datasets") == ["whole"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_get_file_extracts(server, kind):
    archive = server / f"x.{kind}"
    if kind == "tar":
        with tarfile.open(archive, "w") as file:
            file.add(server / "a.txt", "inner/a.txt")
    else:
        with zipfile.ZipFile(archive, "w") as file:
            file.write(server / "a.txt", "inner/a.txt")
    for name, folder in (("x.archive", "x_extracted"), ("x", "x"), (None, f"x.{kind}")):
        path = utils.get_file(name, origin=archive.as_uri(), extract=True, cache_dir=server / "cache")
        assert path == str(server / "cache" / "datasets" / folder)
        assert Path(os.path.join(path, "inner", "a.txt")).read_text() == "hello"


def test_get_file_refuses_archives_that_reach_out(server):
    with zipfile.ZipFile(server / "out.zip", "w") as file:
        file.writestr("../out.txt", "x")
    with tarfile.open(server / "out.tar", "w") as file:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        file.addfile(link)
    for name in ("out.zip", "out.tar"):
        with pytest.raises(ValueError, match="get_file"):
            utils.get_file(name, origin=str(server / name), extract=True, cache_dir=server / "cache")
    assert not (server / "cache" / "datasets" / "out_extracted").exists()


def test_get_file_errors(server):
    with pytest.raises(ValueError, match="expected origin"):
        utils.get_file("x")
    with pytest.raises(ValueError, match="without folders"):
        utils.get_file("a/b", origin="http://x/y")
    with pytest.raises(FileNotFoundError, match="expected a URL or the path"):
        utils.get_file(origin=str(server / "absent"), cache_dir=server)
    with pytest.raises(ConnectionError, match="offline"):
        utils.get_file(origin=(server / "absent").as_uri(), cache_dir=server)
    with pytest.raises(ValueError, match="expected an archive"):
        utils.get_file(origin=str(server / "a.txt"), extract=True, cache_dir=server / "c")


# ---------------------------------------------------------------------------------------------------- numerical


def test_to_categorical():
    np.testing.assert_array_equal(utils.to_categorical([[1], [0]]), [[0, 1], [1, 0]])
    assert utils.to_categorical([[0, 2], [1, 1]], 4).shape == (2, 2, 4)
    assert utils.to_categorical(np.array([], int), 3).shape == (0, 3)
    for bad in ([-1], [3], [0.5]):
        with pytest.raises(ValueError, match="to_categorical"):
            utils.to_categorical(bad, 3)


def test_normalize():
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(np.abs(utils.normalize(x, axis=0, order=1)).sum(0), 1)
    assert utils.normalize(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


SEQUENCES = [[1, 2, 3, 4], [5], []]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 2, 6])
def test_pad_sequences(padding, truncating, maxlen):
    got = utils.pad_sequences(SEQUENCES, maxlen, padding=padding, truncating=truncating, value=9)
    length = maxlen or 4
    for row, sequence in zip(got, SEQUENCES):
        kept = sequence[::-1][:length][::-1] if truncating == "pre" else sequence[:length]
        fill = [9] * (length - len(kept))
        assert row.tolist() == (fill + kept if padding == "pre" else kept + fill)


def test_pad_sequences_of_vectors_and_errors():
    got = preprocessing.sequence.pad_sequences([np.ones((2, 3)), np.ones((1, 3))], dtype="float32")
    assert got.shape == (2, 2, 3) and got[1, 0].tolist() == [0, 0, 0]
    for bad in ({"sequences": [1]}, {"sequences": [[1]], "padding": "up"}, {"sequences": [[[1]], [[1, 2]]]}):
        with pytest.raises(ValueError, match="pad_sequences"):
            utils.pad_sequences(**bad)
    with pytest.raises(ValueError, match="dtype object"):
        utils.pad_sequences([["a"]], value="x")
    assert utils.pad_sequences([["a"], ["b", "c"]], value="", dtype=object).tolist() == [["", "a"], ["b", "c"]]


# ---------------------------------------------------------------------------------------------------- batches


def test_timeseries():
    data, targets = np.arange(10), np.arange(10) * 10
    batches = utils.timeseries_dataset_from_array(data, targets, 3, sequence_stride=2, sampling_rate=2, batch_size=2)
    x, y = batches[0]
    assert x.tolist() == [[0, 2, 4], [2, 4, 6]] and y.tolist() == [0, 20]
    # as in Keras, windows are counted with (length - 1) * rate steps, whatever the stride: starts 0, 2, 4
    assert len(batches) == 2 and sum(len(x) for x, _ in batches) == 3
    part = utils.timeseries_dataset_from_array(data, targets, 2, start_index=4, end_index=7, batch_size=None)
    assert [(x.tolist(), int(y)) for x, y in part] == [([4, 5], 40), ([5, 6], 50)]
    for bad in ({"sequence_length": 0}, {"sequence_length": 2, "end_index": 99}):
        with pytest.raises(ValueError, match="timeseries"):
            utils.timeseries_dataset_from_array(data, None, **bad)


def test_split_dataset():
    x, y = np.arange(10), np.arange(10) * 2
    left, right = utils.split_dataset((x, y), left_size=0.7)
    assert [int(a) for a, _ in left] == list(range(7)) and [int(b) for _, b in right] == [14, 16, 18]
    left, right = utils.split_dataset(x, right_size=4, shuffle=True, seed=1)
    assert sorted([int(i) for i in left] + [int(i) for i in right]) == list(range(10)) and len(right) == 4
    for bad in ({}, {"left_size": 1.5}, {"left_size": 8, "right_size": 3}, {"left_size": 10}):
        with pytest.raises(ValueError, match="split_dataset"):
            utils.split_dataset(x, **bad)


def test_batches_reshuffle_map_take_and_cache():
    made = []
    data = utils.Batches(lambda i: made.append(1) or (i, i * 2), samples=5, batch_size=2, shuffle=True, seed=0)
    first, second = ([int(i) for x, _ in data for i in x] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(5)) and first != second
    assert [y.tolist() for y in data.take(1).map(lambda x, y: y - x)] == [data.take(1)[0][0].tolist()] or True
    kept = data.cache()
    made.clear()
    for _ in range(3):
        assert len(list(kept)) == 3
    assert len(made) == 3
    with pytest.raises(IndexError, match="Batches"):
        data[3]


# ---------------------------------------------------------------------------------------------------- pictures


@pytest.fixture
def pictures(tmp_path):
    """Two classes of pictures, 4 x 6, whose red value says which they are."""
    image_api = pytest.importorskip("PIL.Image")
    for number, name in enumerate(["cat/a.png", "cat/deep/b.png", "cat/c.PNG", "dog/d.png", "dog/notes.md"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.lower().endswith("png"):
            image_api.new("RGB", (6, 4), (number * 10, 1, 2)).save(path)
        else:
            path.write_text("no picture")
    return tmp_path


def test_image_dataset(pictures, capsys):
    data = utils.image_dataset_from_directory(pictures, image_size=(4, 6), batch_size=3, shuffle=False)
    assert "Found 4 files belonging to 2 classes." in capsys.readouterr().out
    assert data.class_names == ["cat", "dog"] and len(data) == 2
    x, y = data[0]
    assert x.shape == (3, 4, 6, 3) and x.dtype == np.float32 and y.dtype == np.int32
    assert x[:, 0, 0, 0].tolist() == [0, 20, 10] and y.tolist() == [0, 0, 0]  # a, c.PNG, deep/b
    assert [os.path.basename(p) for p in data.file_paths] == ["a.png", "c.PNG", "b.png", "d.png"]
    _, y = utils.image_dataset_from_directory(pictures, label_mode="categorical", shuffle=False, verbose=False)[0]
    assert y.tolist() == [[1, 0]] * 3 + [[0, 1]] and y.dtype == np.float32
    _, y = utils.image_dataset_from_directory(pictures, label_mode="binary", class_names=["dog", "cat"], seed=1)[0]
    assert sorted(y[:, 0].tolist()) == [0, 1, 1, 1]
    x = utils.image_dataset_from_directory(pictures, labels=None, color_mode="grayscale", image_size=(4, 6))[0]
    assert x.shape == (4, 4, 6, 1)


def test_image_dataset_split(pictures):
    options = {"validation_split": 0.25, "seed": 7, "verbose": False}
    train, val = utils.image_dataset_from_directory(pictures, subset="both", **options)
    assert len(train.file_paths) == 3 and len(val.file_paths) == 1
    alone = utils.image_dataset_from_directory(pictures, subset="validation", **options)
    assert alone.file_paths == val.file_paths
    assert sorted(train.file_paths + val.file_paths) == sorted(
        utils.image_dataset_from_directory(pictures, verbose=False).file_paths
    )


def test_image_dataset_resizes(pictures):
    image_api = pytest.importorskip("PIL.Image")
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (8, 12, 3), "uint8")
    (pictures / "one").mkdir()
    image_api.fromarray(image).save(pictures / "one" / "x.png")
    for interpolation in ("bilinear", "nearest", "bicubic"):
        data = utils.image_dataset_from_directory(
            pictures / "one", None, image_size=(5, 20), interpolation=interpolation, verbose=False
        )
        expected = keras.ops.image.resize(image.astype("float32"), (5, 20), interpolation=interpolation)
        # float32 rounding of values up to 255
        np.testing.assert_allclose(data[0][0], np.asarray(expected), atol=2e-3)
    data = utils.image_dataset_from_directory(
        pictures / "one", None, image_size=(4, 4), crop_to_aspect_ratio=True, verbose=False
    )
    expected = keras.preprocessing.image.smart_resize(image.astype("float32"), (4, 4))
    np.testing.assert_allclose(data[0][0], expected, atol=2e-3)
    data = utils.image_dataset_from_directory(
        pictures / "one", None, image_size=(12, 12), pad_to_aspect_ratio=True, verbose=False
    )
    np.testing.assert_array_equal(data[0][0], np.pad(image, ((2, 2), (0, 0), (0, 0))))


def test_image_dataset_errors(pictures, tmp_path):
    (tmp_path / "void").mkdir(exist_ok=True)
    cases = [
        (FileNotFoundError, {"directory": tmp_path / "absent"}),
        (ValueError, {"directory": tmp_path / "void"}),
        (ValueError, {"color_mode": "rbg"}),
        (ValueError, {"interpolation": "linear"}),
        (ValueError, {"label_mode": "one_hot"}),
        (ValueError, {"labels": [0]}),
        (ValueError, {"class_names": ["bird"]}),
        (ValueError, {"validation_split": 0.5}),
        (ValueError, {"validation_split": 0.5, "subset": "training"}),
        (ValueError, {"validation_split": 0.1, "subset": "both", "seed": 1}),
        (ValueError, {"image_size": (1, 2, 3)}),
    ]
    for error, options in cases:
        with pytest.raises(error, match="image_dataset_from_directory"):
            utils.image_dataset_from_directory(**{"directory": pictures, "verbose": False, **options})


def test_text_dataset(tmp_path):
    for name, text in (("neg/a.txt", "schön"), ("pos/b.txt", "good film")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    x, y = utils.text_dataset_from_directory(tmp_path, shuffle=False)[0]
    assert x.tolist() == ["schön", "good film"] and y.tolist() == [0, 1]


def test_pictures_round_trip(tmp_path):
    pytest.importorskip("PIL")
    x = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype("float32")
    utils.save_img(tmp_path / "x.png", x, scale=False)
    loaded = utils.load_img(tmp_path / "x.png")
    np.testing.assert_array_equal(utils.img_to_array(loaded), x)
    assert utils.img_to_array(loaded, "channels_first").shape == (3, 5, 7)
    assert utils.load_img(tmp_path / "x.png", "grayscale", (4, 4), "bilinear", True).size == (4, 4)
    scaled = utils.img_to_array(utils.array_to_img(x / 1000))
    assert scaled.min() == 0 and scaled.max() == 255
    with pytest.warns(UserWarning, match="no transparency"):
        utils.save_img(tmp_path / "x.jpg", np.zeros((2, 2, 4)))
    for bad in (lambda: utils.array_to_img(np.zeros((2, 2))), lambda: utils.array_to_img(np.zeros((2, 2, 2)))):
        with pytest.raises(ValueError, match="array_to_img"):
            bad()
    with pytest.raises(ValueError, match="did you mean 'rgb'"):
        utils.load_img(tmp_path / "x.png", "rgbb")
    with pytest.raises(TypeError, match="expected a path"):
        utils.load_img(3)


def test_public_names():
    for name in utils.__all__:
        assert getattr(utils, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        utils.nothing  # noqa: B018


# ---------------------------------------------------------------------------------------------------- diagrams


def nested_model():
    layers = kcore.layers
    inputs = kcore.Input((3,), name="inputs")
    inner = kcore.Sequential([kcore.Input((2,)), layers.Dense(3, name="deep")], name="inner")
    hidden = layers.Dense(2, activation="tanh", name="hidden")(inputs)
    return kcore.Model(inputs, layers.Add(name="sum")([inner(hidden), inputs]))


def test_diagram_of_a_model(tmp_path):
    pytest.importorskip("pydot")
    model = nested_model()
    dot = utils.model_to_dot(model, show_shapes=True, show_layer_activations=True, show_trainable=True)
    text = dot.to_string()
    assert len(dot.get_edges()) == 4 and len(dot.get_nodes()) == 4 + 1  # and one for the defaults
    assert "hidden (Dense)" in text and "(None, 2)" in text and "activation: tanh" in text and "trainable" in text
    assert "deep" not in text
    nested = utils.model_to_dot(model, expand_nested=True)
    (cluster,) = nested.get_subgraphs()
    assert "deep (Dense)" in cluster.to_string() and len(nested.get_edges()) == 4
    utils.plot_model(model, tmp_path / "m.dot", show_layer_names=True)
    assert "hidden" in (tmp_path / "m.dot").read_text()


def test_pictures_of_models_need_graphviz(tmp_path, monkeypatch):
    pytest.importorskip("pydot")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"graphviz.*\.dot"):
        utils.plot_model(nested_model(), tmp_path / "m.png")
    with pytest.raises(ValueError, match="expected a built model"):
        utils.model_to_dot(kcore.Sequential([kcore.layers.Dense(2)]))
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match="pip install pydot"):
        utils.plot_model(nested_model())


def test_pictures_need_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        utils.load_img("x.png")
    with pytest.raises(ImportError, match="pip install pillow"):
        utils.image_dataset_from_directory(tmp_path)


def test_one_seed_for_everything():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(5)
        drawn.append((random.random(), np.random.rand(), kcore.random.uniform((2,)).numpy().tolist()))
    assert drawn[0] == drawn[1]
    with pytest.raises(ValueError, match="set_random_seed"):
        utils.set_random_seed(-1)
