"""`download` against local servers that play Kaggle and figshare: no network is needed.

The real kagglehub and the real pooch run. kagglehub's own switch KAGGLE_API_ENVIRONMENT=LOCALHOST
makes it ask http://localhost; HTTP_PROXY leads that to a server on a free port. For figshare, the
module's address is changed. All images are simulated noise.
"""
import base64
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import types
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb import download as module
from brain_tumor_nb.data import MRIFolder
from brain_tumor_nb.download import (convert_matlab, dataset_note, download, hash_files,
                                     install_dataset, known_files, listed_rows, read_matlab,
                                     same_content, subject_of, unpack_zip, verify_dataset,
                                     write_table)
from brain_tumor_nb.known import DATASETS, Dataset


class QuietServer(ThreadingHTTPServer):
    "A client that was killed is no fault to tell of: it would stand in another test's output."
    def handle_error(self, *args):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*args)


def need_kagglehub():
    return pytest.importorskip("kagglehub",
                               reason='needs the extra "data": pip install -e ".[data]"')


def png(seed):
    buf = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 24),
                                                         dtype=np.uint8)).save(buf, "png")
    return buf.getvalue()


FILES = {f"{c}/{c} {i}.png": png(10*k + i) for k, c in enumerate(("no", "yes")) for i in range(4)}


def doubled(files=FILES):
    "As Kaggle's archive of the tutorial's set: everything twice."
    return {**{f"brain_tumor_dataset/{n}": b for n, b in files.items()}, **files}


def make_zip(files):
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as z:
        for n, b in files.items():
            z.writestr(n, b)
    return buf.getvalue()


def failure(fn, *kinds):
    "The one line `fn` fails with."
    with pytest.raises(kinds or (RuntimeError, ValueError)) as e:
        fn()
    line = str(e.value)
    assert "\n" not in line and "Traceback" not in line, line
    return line


@pytest.fixture
def tiny(tmp_path):
    "A simulated set with its list."
    listing = tmp_path/"tiny.csv"
    listing.write_text("file,sha256\n" + "".join(f"{n},{hashlib.sha256(b).hexdigest()}\n"
                                                 for n, b in FILES.items()), encoding="utf-8")
    return Dataset("tiny", "somebody/tiny-set/versions/7", ("no", "yes"), listing=listing)


class Kaggle:
    "Kaggle's API and its file store, on a free local port."
    def __init__(self):
        self.archive, self.status, self.kind, self.md5 = (make_zip(doubled()), 200,
                                                          "application/zip", None)
        self.cut, self.stall, self.asked = 0, 0, []
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *a): pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kaggle.asked.append((self.path, json.loads(body),
                                     self.headers.get("Authorization")))
                if kaggle.status != 200:
                    message = json.dumps({"code": kaggle.status,
                                          "message": "Kaggle says no\nat length"}).encode()
                    return self.answer(kaggle.status, message, {"Content-Type": "application/json"})
                self.answer(302, b"", {"Location": "http://files.localhost/set.zip?signed=1"})

            def do_GET(self):
                kaggle.asked.append((self.path, None, self.headers.get("Authorization")))
                head = {"Content-Type": kaggle.kind}
                if kaggle.md5:
                    head["x-goog-hash"] = f"crc32c=AAAAAA==,md5={kaggle.md5}"
                self.answer(200, kaggle.archive, head, kaggle.cut)

            def answer(self, status, body, head, cut=0):
                self.send_response(status)
                for k, v in {**head, "Content-Length": str(len(body))}.items():
                    self.send_header(k, v)
                self.end_headers()
                if kaggle.stall and body:
                    self.wfile.write(body[:len(body)//2])
                    self.wfile.flush()
                    time.sleep(kaggle.stall)
                    cut = len(body)
                self.wfile.write(body[:len(body)-cut])
                if cut:
                    self.close_connection = True

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=.02),
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    need_kagglehub()
    srv = Kaggle()
    proxy = f"http://127.0.0.1:{srv.server.server_port}"
    home = tmp_path/"home"
    home.mkdir()
    for k in ("NO_PROXY", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(k, raising=False)
        monkeypatch.delenv(k.lower(), raising=False)
    for k in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_KERNEL_RUN_TYPE",
              "TBE_RUNTIME_ADDR"):
        monkeypatch.delenv(k, raising=False)
    for k, v in dict(HTTP_PROXY=proxy, http_proxy=proxy, KAGGLE_API_ENVIRONMENT="LOCALHOST",
                     HOME=home, USERPROFILE=home, KAGGLE_CONFIG_DIR=home,
                     KAGGLEHUB_CACHE=home/"cache").items():
        monkeypatch.setenv(k, str(v))
    yield srv
    srv.close()


@pytest.fixture
def place(tmp_path):
    "An empty folder to download into."
    (tmp_path/"place").mkdir()
    return tmp_path/"place"


# --------------------------------------------------------------------------------------------------
# Kaggle, played

def test_download_from_kaggle(kaggle, tiny, place, capsys):
    data = download(tiny, place/"set")
    assert data == place/"set"
    assert hash_files(data) == {n: hashlib.sha256(b).hexdigest() for n, b in FILES.items()}
    # once, not twice; nothing beside it
    assert os.listdir(place) == ["set"] and sorted(os.listdir(data)) == ["no", "yes"]
    (url, asked, auth), (store, _, auth2) = kaggle.asked
    assert url == "http://localhost/api/v1/datasets.DatasetApiService/DownloadDataset"
    assert store.endswith("set.zip?signed=1")
    assert (asked["ownerSlug"], asked["datasetSlug"],
            asked["datasetVersionNumber"]) == ("somebody", "tiny-set", 7)
    assert auth is None and auth2 is None  # a public set needs no key
    assert capsys.readouterr().out == ""  # standard output stays clean
    if os.name == "posix":
        assert data.stat().st_mode & 0o777 == place.stat().st_mode & 0o777

    kaggle.close()  # a second run asks nobody
    start = time.perf_counter()
    assert download(tiny, place/"set") == data and len(kaggle.asked) == 2
    assert time.perf_counter() - start < 1


def test_default_place(kaggle, tiny, place, monkeypatch):
    monkeypatch.chdir(place)
    assert download(tiny) == Path("data")/"tiny" and verify_dataset(tiny, "data").ok


def test_empty_folder_is_filled(kaggle, tiny, place):
    (place/"set").mkdir()
    assert verify_dataset(tiny, download(tiny, place/"set")).ok


@pytest.mark.parametrize("status,words", [(401, "refused the key"), (403, "refused the key"),
                                          (404, "no longer has it"),
                                          (429, "HTTP 429: try again later"),
                                          (503, "HTTP 503: try again later")])
def test_kaggle_says_no(kaggle, tiny, place, status, words):
    kaggle.status = status
    line = failure(lambda: download(tiny, place/"set"))
    assert words in line and tiny.page in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


def test_a_key_is_used_and_a_broken_one_named(kaggle, tiny, place, monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "secret-of-mine")
    kaggle.status = 401
    line = failure(lambda: download(tiny, place/"set"))
    assert "refused the key" in line and "secret" not in line
    assert kaggle.asked[0][2] == "Basic " + base64.b64encode(b"me:secret-of-mine").decode()
    for k in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(k)
    Path(os.environ["KAGGLE_CONFIG_DIR"], "kaggle.json").write_text("{", encoding="utf-8")
    import kagglehub.config
    monkeypatch.setattr(kagglehub.config, "DEFAULT_KAGGLE_CREDENTIALS_FOLDER",
                        os.environ["KAGGLE_CONFIG_DIR"])
    assert "Invalid Kaggle credentials file" in failure(lambda: download(tiny, place/"set"))


def test_no_network(kaggle, tiny, place):
    kaggle.close()
    line = failure(lambda: download(tiny, place/"set"))
    assert "no connection" in line and tiny.page in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


@pytest.mark.parametrize("play,words", [
    # the line drops
    (dict(cut=300), "broke off"),
    # a bit flips on the way
    (dict(md5=base64.b64encode(hashlib.md5(b"other").digest()).decode()), "damaged"),
    # a hotel's network
    (dict(archive=b"<html>Please sign in</html>", kind="text/html"), "sign-in page"),
    # the file store holds half
    (dict(archive=make_zip(FILES)[:-200]), "damaged or no archive"),
], ids=["cut", "md5", "html", "half"])
def test_what_arrives_is_damaged(kaggle, tiny, place, play, words):
    vars(kaggle).update(play)
    line = failure(lambda: download(tiny, place/"set"))
    assert words in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


def test_bad_crc_inside_the_archive(kaggle, tiny, place):
    raw = bytearray(make_zip(FILES))
    at = raw.find(FILES["yes/yes 2.png"])
    raw[at+40] ^= 1
    kaggle.archive = bytes(raw)
    assert "damaged" in failure(lambda: download(tiny, place/"set")) and os.listdir(place) == []


@pytest.mark.parametrize("files,words", [
    ({**FILES, "yes/yes 2.png": png(99)}, "1 changed (yes/yes 2.png)"),
    ({n: b for n, b in FILES.items() if n != "no/no 0.png"}, "1 missing (no/no 0.png)"),
    ({**FILES, "no/new.png": png(98)}, "1 not on the list (no/new.png)"),
    ({"readme.txt": b"moved"}, "8 missing (no/no 0.png, no/no 1.png, no/no 2.png, ...)"),
    ({}, "8 missing"),
], ids=["changed", "missing", "extra", "other", "empty"])
def test_files_other_than_published(kaggle, tiny, place, files, words):
    kaggle.archive = make_zip(files)
    line = failure(lambda: download(tiny, place/"set"))
    assert words in line and "nothing was written" in line and os.listdir(place) == []


@pytest.mark.parametrize("layout", ["", "brain_tumor_dataset/", "archive/brain_tumor_dataset/"])
def test_layouts(kaggle, tiny, place, layout):
    kaggle.archive = make_zip({**{layout + n: b for n, b in FILES.items()},
                               "__MACOSX/no/x.png": b"", layout + "no/.DS_Store": b""})
    assert sorted(os.listdir(download(tiny, place/"set"))) == ["no", "yes"]


def test_zip_slip_from_kaggle(kaggle, tiny, place, tmp_path):
    before = sorted(p for p in tmp_path.iterdir())
    kaggle.archive = make_zip({**FILES, "../../out.png": b"boo", "../../../out.png": b"boo",
                               str(tmp_path/"abs.png"): b"boo"})
    # kagglehub unpacks these inside its folder; they are no part of the set
    data = download(tiny, place/"set")
    assert sorted(os.listdir(data)) == ["no", "yes"] and os.listdir(place) == ["set"]
    assert sorted(p for p in tmp_path.iterdir()) == before
    assert not list(tmp_path.rglob("out.png")) + list(tmp_path.rglob("abs.png"))


def test_kaggle_notebooks_hand_out_a_cache(tiny, place, monkeypatch, tmp_path):
    "On Kaggle and Colab the download is a shared folder: copied from, never moved or changed."
    hub, cache = need_kagglehub(), unpack_zip(write(tmp_path/"c.zip", make_zip(doubled())),
                                              tmp_path/"cache")
    monkeypatch.setattr(hub, "dataset_download", lambda handle, output_dir: str(cache))
    assert verify_dataset(tiny, download(tiny, place/"set")).ok and len(hash_files(cache)) == 16


# --------------------------------------------------------------------------------------------------
# the disk

@pytest.mark.parametrize("by_hand", [False, True], ids=["kaggle", "zip"])
def test_disk_full(kaggle, tiny, place, tmp_path, by_hand):
    # a limit on file size gives the same OSError family as a full disk
    resource = pytest.importorskip("resource")
    big = bytes(np.random.default_rng(0).integers(0, 255, 4_000_000, dtype=np.uint8))
    kaggle.archive = make_zip({**FILES, "no/big.png": big})
    source = write(tmp_path/"a.zip", kaggle.archive) if by_hand else None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        line = failure(lambda: download(tiny, place/"set", source=source))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.strerror(errno.EFBIG) in line and "--out" in line and os.listdir(place) == []


def test_disk_full_while_copying(tiny, place, tmp_path, monkeypatch):
    src = unpack_zip(write(tmp_path/"a.zip", make_zip(FILES)), tmp_path/"src")
    def full(a, b, **kw): raise OSError(errno.ENOSPC, "No space left on device", str(b))
    monkeypatch.setattr(shutil, "copyfile", full)
    line = failure(lambda: download(tiny, place/"set", source=src))
    assert line == (f"cannot put tiny into {place/'set'}: No space left on device; "
                    "free some space, mend the rights, or choose another folder with --out")
    assert os.listdir(place) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_target(tiny, place):
    place.chmod(0o555)
    assert "Permission denied" in failure(lambda: download(tiny, place/"set"))


def test_impossible_targets(tiny, place, tmp_path):
    assert "is a file" in failure(lambda: download(tiny, tiny.listing))
    assert "--out" in failure(lambda: download(tiny, tiny.listing/"below"/"set"))


def test_existing_folder_is_left_alone(tiny, place):
    (place/"set").mkdir()
    (place/"set"/"thesis.txt").write_text("mine")
    line = failure(lambda: download(tiny, place/"set"))
    assert "is there already" in line
    assert "8 missing" in line
    assert (place/"set"/"thesis.txt").read_text() == "mine"


def test_somebody_else_was_faster(tiny, place, tmp_path):
    "Two downloads at once: the later one accepts only a whole set under the target's name."
    src = unpack_zip(write(tmp_path/"a.zip", make_zip(FILES)), tmp_path/"src")
    for k, (name,
            b) in enumerate({"no/no 0.png": FILES["no/no 0.png"], "no/odd.png": b"?"}.items()):
        unpack_zip(tmp_path/"a.zip", place/"set")
        (place/"set"/name).write_bytes(b)
        (tmp_path/f"t{k}").mkdir()
        if k == 0:
            assert install_dataset(tiny, src, place/"set", tmp_path/"t0").ok
        else:
            with pytest.raises(OSError):
                install_dataset(tiny, src, place/"set", tmp_path/"t1")
    assert (place/"set"/"no"/"odd.png").read_bytes() == b"?"


def test_killed_halfway(kaggle, tiny, place):
    "A killed process leaves no folder under the target's name."
    kaggle.stall = 60
    code = (f"from pathlib import Path; from brain_tumor_nb.download import Dataset, download; "
            f"download(Dataset('tiny', {tiny.handle!r}, ('no','yes'), "
            f"listing=Path({str(tiny.listing)!r})), {str(place/'set')!r})")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    proc = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=env)
    try:
        end = time.time() + 60
        while len(kaggle.asked) < 2 and proc.poll() is None and time.time() < end:
            time.sleep(.02)
        assert proc.poll() is None and len(kaggle.asked) == 2
        time.sleep(.2)
    finally:
        proc.kill()
        out = proc.communicate()[0]
    assert out == b""  # kagglehub's messages leave standard output clean
    assert not (place/"set").exists() and all(n.startswith(".set-") for n in os.listdir(place))
    kaggle.stall = 0
    assert verify_dataset(tiny, download(tiny, place/"set")).ok  # and the next run is not disturbed


# --------------------------------------------------------------------------------------------------
# by hand

def write(path, data):
    path.write_bytes(data)
    return path


def test_zip_by_hand(tiny, place, tmp_path):
    data = download(tiny, place/"set", source=write(tmp_path/"by hand.zip", make_zip(doubled())))
    assert verify_dataset(tiny, data).ok and sorted(os.listdir(data)) == ["no", "yes"]


def test_folder_by_hand(tiny, place, tmp_path):
    src = unpack_zip(write(tmp_path/"a.zip", make_zip(doubled())), tmp_path/"src")
    assert verify_dataset(tiny, src).ok  # a folder unpacked by hand, verified where it is
    assert download(tiny, src) == src  # ... and accepted as a target
    assert verify_dataset(tiny, download(tiny, place/"set", source=src)).ok
    assert len(hash_files(src)) == 16


@pytest.mark.parametrize("name", ["../out.png", "no/../../out.png", "/out.png", "..\\out.png",
                                  "C:\\out.png", "C:/out.png"])
def test_zip_slip_by_hand(tiny, place, tmp_path, name):
    line = failure(lambda: download(tiny, place/"set",
                                    source=write(tmp_path/"a.zip",
                                                 make_zip({**FILES, name: b"boo"}))))
    assert "would be written outside its folder" in line and os.listdir(place) == []


def test_symlink_in_a_zip_stays_a_file(tiny, tmp_path):
    info = zipfile.ZipInfo("no/link")
    info.external_attr = 0o120777 << 16
    info.create_system = 3
    with zipfile.ZipFile(tmp_path/"a.zip", "w") as z:
        z.writestr(info, "/etc/passwd")
    assert not (unpack_zip(tmp_path/"a.zip", tmp_path/"x")/"no"/"link").is_symlink()


@pytest.mark.parametrize("data", [b"", b"not a zip", make_zip(FILES)[:-30], make_zip(FILES)[50:]],
                         ids=["empty", "text", "cut", "headless"])
def test_bad_zip_by_hand(tiny, place, tmp_path, data):
    assert "download it again" in failure(lambda: download(tiny, place/"set",
                                                           source=write(tmp_path/"a.zip", data)))
    assert os.listdir(place) == []


def test_missing_source(tiny, place):
    assert "does not exist" in failure(lambda: download(tiny, place/"set",
                                                        source="nowhere.zip"), FileNotFoundError)


# --------------------------------------------------------------------------------------------------
# lists and names

def test_unknown_name():
    line = failure(lambda: download("kaggle"))
    assert "choose brain_tumor_dataset or brain_mri_4class or cheng" in line


def test_committed_lists():
    first, second = known_files("brain_tumor_dataset"), known_files("brain_mri_4class")
    assert len(first) == 253 and all(len(h) == 64 and int(h, 16) for h in first.values())
    # names only, and the verdict says so
    assert len(second) == 5708 and set(second.values()) == {""}
    third = known_files("cheng")
    assert len(third) == 3064 and all(len(h) == 16 and int(h, 16) >= 0 for h in third.values())
    for known in (first, second, third):
        assert not any("\\" in f or f.startswith("/") or ".." in f for f in known)
    for n in DATASETS:
        assert DATASETS[n].page in dataset_note(n) and DATASETS[n].rights in dataset_note(n)


def test_four_classes_by_name(kaggle, place):
    "The names-only list, Testing beside Training and one file beyond the list; contents are free."
    names = [*known_files("brain_mri_4class"), "Training/notumor/Tr-no_9999.jpg",
             "Testing/glioma/Te-gl_0010.jpg"]
    kaggle.archive = make_zip(dict.fromkeys(names, b"simulated"))
    data = download("brain_mri_4class", place/"set")
    assert data == place/"set"/"Training"
    assert sorted(os.listdir(data)) == ["glioma", "meningioma", "notumor", "pituitary"]
    v = verify_dataset("brain_mri_4class", data)
    assert v.ok and not v.contents and len(v.extra) == 2
    assert "names verified, contents not: no hashes of the published files were at hand" in str(v)
    assert kaggle.asked[0][1]["datasetVersionNumber"] == 1
    (data/"glioma"/"Tr-gl_0010.jpg").unlink()
    line = failure(lambda: download("brain_mri_4class", place/"set"))
    assert "1 missing (Training/glioma/Tr-gl_0010.jpg)" in line


def test_without_kagglehub(tiny, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    line = failure(lambda: download(tiny, place/"set"))
    assert 'pip install "brain_tumor_nb[data]"' in line and os.listdir(place) == []


def test_real_folders(real_data):
    v = verify_dataset("brain_tumor_dataset", real_data)
    assert v.ok and v.contents and v.listed == 253 and not v.extra
    assert download("brain_tumor_dataset", real_data) == real_data
    four = real_data.parent/"brain_mri_4class"/"Training"
    v = verify_dataset("brain_mri_4class", four)
    assert v.ok and not v.contents and v.data == four


# --------------------------------------------------------------------------------------------------
# figshare, played

PATIENTS = ("100360", "MR000001A", "MR000001B", "MR000002", "MR000003", "MR000004G", "99999",
            "MR000005")
LABELS = (1, 1, 2, 2, 3, 3, 2, 1)
PARTS = ("1-2", "3-4", "5-6", "7-8")


def blob(seed, size=96):
    "A smooth simulated slice with values as a scanner writes them, and a lesion."
    small = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    large = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)
    image = np.asarray(large).astype(np.int16)*8 - 100
    mask = np.zeros((size, size), bool)
    mask[10:30, 20:20+5*seed] = True
    return image, mask


def matlab(image, mask, label, patient):
    "The bytes of a MATLAB 7.3 file like a published slice's: columns before rows, text as codes."
    h5py, held = pytest.importorskip("h5py"), io.BytesIO()
    with h5py.File(held, "w", userblock_size=512) as f:
        struct = f.create_group("cjdata")
        struct["image"], struct["tumorMask"] = image.T, mask.T.astype(np.uint8)
        struct["label"] = np.array([[float(label)]])
        struct["PID"] = np.array([[ord(c)] for c in patient], np.uint16)
        struct["tumorBorder"] = np.arange(8.).reshape(8, 1)
    return held.getvalue()


def slices(size=96):
    "File -> bytes of eight simulated slices, as published."
    return {f"{n}.mat": matlab(*blob(n, size), LABELS[n-1], PATIENTS[n-1]) for n in range(1, 9)}


def published(mats):
    "File -> bytes of four zips of two slices each, and the folds."
    zips = {f"brainTumorDataPublic_{p}.zip": make_zip({f: mats[f] for f in list(mats)[2*k:2*k+2]})
            for k, p in enumerate(PARTS)}
    return {**zips, "cvind.mat": b"folds"}


@pytest.fixture
def eight(tmp_path):
    "A simulated set on figshare, with its list."
    from imagehash import phash
    rows = []
    for n, (label, patient) in enumerate(zip(LABELS, PATIENTS), 1):
        # the list is made of smaller copies
        image = Image.fromarray(module.stretch(blob(n)[0])).resize((48, 48), Image.Resampling.BOX)
        rows.append(dict(file=f"{module.CLASS_OF[label]}/{n:04d}.png", subject=subject_of(patient),
                         patient_id=patient, plane=("axial", "coronal", "sagittal")[n % 3],
                         phash=str(phash(image))))
    write_table(tmp_path/"eight.csv", rows)
    return replace(DATASETS["cheng"], name="eight", handle="10.1234/fig.5",
                   listing=tmp_path/"eight.csv",
                   files=(*(f"brainTumorDataPublic_{p}.zip" for p in PARTS), "cvind.mat"))


class Figshare:
    "figshare's API and its file store, on a free local port."
    def __init__(self, files):
        self.files, self.asked, self.status, self.listing = files, [], 200, None
        self.md5, self.cut, self.stall, self.store = {}, {}, {}, 200
        figshare = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *a): pass

            def do_GET(self):
                name = self.path.split("/")[-1]
                if self.path.startswith("/v2/articles/5/files"):
                    self.answer(figshare.status, figshare.list())
                elif self.path.startswith("/files/"):
                    self.answer(302, b"", Location=f"/store/{name}")     # as ndownloader does
                else:
                    figshare.asked.append(name)
                    self.answer(figshare.store,
                                figshare.files[name] if figshare.store == 200 else b"",
                                figshare.cut.get(name, 0), figshare.stall.get(name, 0))

            def answer(self, status, body, cut=0, stall=0, **head):
                self.send_response(status)
                for k, v in {**head, "Content-Length": str(len(body))}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body[:len(body)//2])
                self.wfile.flush()
                time.sleep(stall)
                self.wfile.write(body[len(body)//2:len(body)-cut])
                if cut:
                    self.close_connection = True

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=.02),
                         daemon=True).start()

    def list(self):
        if self.listing is not None:
            return self.listing
        other = {"name": "README.txt", "download_url": f"{self.address}/files/README.txt",
                 "computed_md5": "0"*32, "size": 0}
        return json.dumps([other] + [dict(id=k, name=n, size=len(b), is_link_only=False,
                                          download_url=f"{self.address}/files/{n}", supplied_md5="",
                                          computed_md5=self.md5.get(n, hashlib.md5(b).hexdigest()))
                                     for k, (n, b) in enumerate(self.files.items())]).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def figshare(monkeypatch):
    pytest.importorskip("pooch", reason='needs the extra "data": pip install -e ".[data]"')
    import pooch.core
    srv = Figshare(published(slices()))
    for k in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(k, raising=False)
        monkeypatch.delenv(k.lower(), raising=False)
    monkeypatch.setattr(module, "FIGSHARE", f"{srv.address}/v2")
    # it waits before it tries again
    monkeypatch.setattr(pooch.core, "time", types.SimpleNamespace(sleep=lambda seconds: None))
    yield srv
    srv.close()


FIRST = "brainTumorDataPublic_1-2.zip"


def test_download_from_figshare(figshare, eight, place, capsys):
    data = download(eight, place/"set")
    assert data == place/"set"
    assert os.listdir(place) == ["set"]
    assert sorted(figshare.asked) == sorted(figshare.files)
    assert sorted(os.listdir(data)) == [".masks", "README.txt", "cvind.mat", "glioma",
                                        "manifest.csv", "meningioma", "pituitary"]
    assert capsys.readouterr().out == ""
    folder = MRIFolder(data)
    assert folder.paths == sorted(known_files(eight)) and folder.bad == []
    for path, im, i in zip(folder.paths, folder.map(lambda im: im), range(8)):
        image, mask = blob(int(path[-8:-4]))
        grey = np.asarray(im)
        assert (grey.min(), grey.max()) == (0, 255)
        # its own scale, upright
        assert np.abs(grey - (image - image.min())*(255/(image.max() - image.min()))).max() <= .501
        assert (folder.mask(i) == mask).all()
    with open(data/"manifest.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["file", "subject", "patient_id", "plane", "mask", "source_file"]
    assert [r["source_file"] for r in rows] == [f"{n}.mat" for n in range(1, 9)]
    assert [r["patient_id"] for r in rows] == list(PATIENTS)
    assert [r["plane"] for r in rows] == [r["plane"] for r in listed_rows(eight)]
    assert rows[1]["subject"] == rows[2]["subject"] == "MR000001"
    assert rows[1]["mask"] == ".masks/meningioma/0002.png"
    assert "CC BY 4.0" in (data/"README.txt").read_text(encoding="utf-8")
    assert "e0140381" in (data/"README.txt").read_text(encoding="utf-8")
    assert (data/"cvind.mat").read_bytes() == b"folds"
    assert Image.open(data/rows[0]["mask"]).mode == "1"

    figshare.close()  # a second run asks nobody
    assert download(eight, place/"set") == data and len(figshare.asked) == 5


def test_any_resolution_has_the_same_list(eight, place, tmp_path):
    "Slices of twice the size give the same paths and pass the same list; a mirrored one does not."
    for size, name in ((96, "a"), (192, "b")):
        for f, content in slices(size).items():
            write(tmp_path/f, content)
        (place/name).mkdir()
        convert_matlab(eight, tmp_path, place/name)
    a, b = MRIFolder(place/"a"), MRIFolder(place/"b")
    assert a.paths == b.paths and a.manifest == b.manifest and a[0][0].size != b[0][0].size
    assert verify_dataset(eight, place/"a").ok and verify_dataset(eight, place/"b").ok
    one = place/"b"/b.paths[0]
    Image.open(one).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(one)
    v = verify_dataset(eight, place/"b")
    assert v.changed == [b.paths[0]] and not v.ok and v.contents == "perceptual hash"


def test_interrupted_and_run_again(figshare, eight, place):
    "Files that arrived are not fetched again; the one that was cut off is."
    third = list(figshare.files)[2]
    figshare.cut[third] = 100
    line = failure(lambda: download(eight, place/"set"))
    assert "broke off" in line and "kept for the next run" in line and "--from FOLDER" in line
    assert os.listdir(place) == ["set-download"]
    assert set(figshare.asked) == set(list(figshare.files)[:3])
    assert {f for f in os.listdir(place/"set-download")} == {"files.json",
                                                             *list(figshare.files)[:2]}
    figshare.cut, figshare.asked = {}, []
    assert verify_dataset(eight, download(eight, place/"set")).ok
    assert figshare.asked == list(figshare.files)[2:] and os.listdir(place) == ["set"]


def test_killed_while_fetching(figshare, eight, place):
    "A killed process leaves no set, and what it had is used."
    figshare.stall[list(figshare.files)[1]] = 60
    code = ("from dataclasses import replace; from pathlib import Path; import "
            "brain_tumor_nb.download as d; "
            f"d.FIGSHARE = {module.FIGSHARE!r}; d.download(replace(d.DATASETS['cheng'], "
            "name='eight', handle='10.1234/fig.5', "
            f"listing=Path({str(eight.listing)!r}), files={eight.files!r}), {str(place/'set')!r})")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    proc = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=env)
    try:
        end = time.time() + 60
        while len(figshare.asked) < 2 and proc.poll() is None and time.time() < end:
            time.sleep(.02)
        assert proc.poll() is None and len(figshare.asked) == 2
    finally:
        proc.kill()
        out = proc.communicate()[0]
    assert out == b"" and not (place/"set").exists()
    figshare.stall, figshare.asked = {}, []
    assert verify_dataset(eight, download(eight, place/"set")).ok and FIRST not in figshare.asked
    assert not (place/"set-download").exists()


@pytest.mark.parametrize("play,words", [
    # a bit flips on the way
    (dict(md5={FIRST: "0"*32}), "damaged"),
    (dict(cut={FIRST: 50}), "broke off"),                                          # the line drops
    # a challenge in place of the file: empty, and no error
    (dict(store=202), "a check for browsers"),
    (dict(store=403), "figshare answered HTTP 403"),
    (dict(status=404), "no longer has it"), (dict(status=503), "HTTP 503: try again later"),
    (dict(listing=b"<html>Please sign in</html>"), "sign-in page"),
    (dict(listing=b"[]"), "figshare lists no brainTumorDataPublic_1-2.zip"),
], ids=["md5", "cut", "challenge", "403", "404", "503", "html", "gone"])
def test_figshare_fails(figshare, eight, place, play, words):
    vars(figshare).update(play)
    line = failure(lambda: download(eight, place/"set"))
    assert words in line and eight.page in line and "--from FOLDER" in line
    assert os.listdir(place) == ["set-download"] and FIRST not in os.listdir(place/"set-download")


def test_no_network_to_figshare(figshare, eight, place):
    figshare.close()
    assert "no connection to figshare" in failure(lambda: download(eight, place/"set"))
    assert not (place/"set").exists()


@pytest.mark.parametrize("change,words", [
    (lambda z: z[:-40], "is no readable zip"),
    (lambda z: make_zip({"1.mat": b"MATLAB 5.0", "2.mat": slices()["2.mat"]}),
     "1.mat is no slice in MATLAB 7.3 form"),
    (lambda z: make_zip({"1.mat": slices()["1.mat"][:3000], "2.mat": slices()["2.mat"]}),
     "1.mat is no slice in MATLAB 7.3 form"),
    (lambda z: make_zip({"1.mat": matlab(*blob(1), 4, PATIENTS[0]), "2.mat": slices()["2.mat"]}),
     "1.mat is no slice in MATLAB 7.3 form"),
    (lambda z: make_zip({"2.mat": slices()["2.mat"]}), "1 missing (meningioma/0001.png)"),
    (lambda z: make_zip({**{f: slices()[f] for f in ("1.mat", "2.mat")},
                         "9.mat": slices()["1.mat"]}),
     "1 not on the list (meningioma/0009.png)"),
    (lambda z: make_zip({"1.mat": matlab(*blob(7), 1, PATIENTS[0]), "2.mat": slices()["2.mat"]}),
     "1 changed (meningioma/0001.png)"),
    (lambda z: make_zip({"1.mat": matlab(blob(1)[0].T, blob(1)[1].T, 1, PATIENTS[0]),
                         "2.mat": slices()["2.mat"]}),
     "1 changed (meningioma/0001.png)"),
    (lambda z: make_zip({"1.mat": matlab(*blob(1), 1, "MR9"), "2.mat": slices()["2.mat"]}),
     "1.mat names the patient MR9, our list 100360"),
    (lambda z: make_zip({"1.mat": slices()["1.mat"], "../../2.mat": slices()["2.mat"]}),
     "would be written outside its folder"),
    (lambda z: make_zip({"1.mat": slices()["1.mat"], "C:\\2.mat": slices()["2.mat"]}),
     "would be written outside its folder"),
], ids=["cut", "matlab5", "half", "label", "missing", "extra", "other", "transposed", "patient",
        "slip", "drive"])
def test_published_zip_is_bad(figshare, eight, place, tmp_path, change, words):
    "Nothing stands under the set's name or lies outside it, though figshare's own sum is right."
    before = sorted(tmp_path.iterdir())
    figshare.files[FIRST] = change(figshare.files[FIRST])
    assert words in failure(lambda: download(eight, place/"set"))
    assert os.listdir(place) == ["set-download"]
    assert sorted(tmp_path.iterdir()) == before
    assert not list(tmp_path.rglob("2.mat"))


@pytest.mark.parametrize("layout", ["zips", "slices", "folders", "outer zip", "outer folder"])
def test_cheng_by_hand(eight, place, tmp_path, layout):
    src, mats = tmp_path/"by hand", slices()
    src.mkdir()
    for f, content in ({"slices": mats,
                        "folders": {f"part {int(f[0])//3}/{f}": b
                                    for f, b in mats.items()}}.get(layout)
                       or published(mats)).items():
        (src/f).parent.mkdir(exist_ok=True)
        write(src/f, content)
    write(src/"thesis.mat", b"mine")
    write(src/"other.zip", b"mine")  # a folder of downloads holds other things
    if layout == "outer zip":
        src = write(tmp_path/"1512427.zip", make_zip(published(mats)))
    if layout == "outer folder":
        src = src.parent
    data = download(eight, place/"set", source=src)
    assert verify_dataset(eight, data).ok
    assert os.listdir(place) == ["set"]
    assert (data/"cvind.mat").exists() == ("zip" in layout or "outer" in layout)
    assert src.exists() and not (data/"thesis.mat").exists()


def test_folder_without_slices(eight, place, tmp_path):
    line = failure(lambda: download(eight, place/"set", source=place))
    assert "holds neither brainTumorDataPublic_*.zip" in line
    assert os.listdir(place) == []


@pytest.mark.parametrize("name", ["pooch", "h5py"])
def test_without_the_extra(figshare, eight, place, monkeypatch, name):
    "It is missed before anything is fetched."
    monkeypatch.setitem(sys.modules, name, None)
    line = failure(lambda: download(eight, place/"set"))
    assert f'this needs {name}: pip install "brain_tumor_nb[data]"' in line
    assert os.listdir(place) == figshare.asked == []


def test_slices_without_h5py(eight, place, tmp_path, monkeypatch):
    write(tmp_path/"1.mat", b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    line = failure(lambda: download(eight, place/"set", source=tmp_path))
    assert 'pip install "brain_tumor_nb[data]"' in line
    assert os.listdir(place) == []


@pytest.mark.parametrize("when", ["fetching", "converting"])
def test_disk_full_with_figshare(figshare, eight, place, monkeypatch, when):
    "The line is that of a full disk; what arrived whole stays."
    def full(*a, **kw): raise OSError(errno.ENOSPC, "No space left on device")
    if when == "fetching":
        monkeypatch.setattr(shutil, "move", full)     # pooch's last step
    else:
        monkeypatch.setattr(Image.Image, "save", full)
    line = failure(lambda: download(eight, place/"set"))
    assert line.startswith(f"cannot put eight into {place/'set'}: No space left on device")
    assert os.listdir(place) == ["set-download"]
    assert (FIRST in os.listdir(place/"set-download")) == (when == "converting")


def test_disk_limit_with_figshare(figshare, eight, place):
    resource = pytest.importorskip("resource")
    big = bytes(np.random.default_rng(0).integers(0, 255, 4_000_000, dtype=np.uint8))
    figshare.files[FIRST] = make_zip({**slices(), "big.bin": big})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        line = failure(lambda: download(eight, place/"set"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.strerror(errno.EFBIG) in line
    assert os.listdir(place) == ["set-download"]
    assert os.listdir(place/"set-download") == ["files.json"]


def test_matlab_slice_upright(tmp_path):
    "MATLAB stores columns first: what it shows as three rows of four comes as four rows of three."
    image = np.arange(12, dtype=np.int16).reshape(3, 4)
    write(tmp_path/"1.mat", matlab(image, image > 9, 3, "MR5F"))
    with pytest.importorskip("h5py").File(tmp_path/"1.mat") as f:
        assert f["cjdata/image"].shape == (4, 3)
    one = read_matlab(tmp_path/"1.mat")
    assert (one.image == image).all()
    assert (one.mask == (image > 9)).all()
    assert (one.label, one.patient) == ("pituitary", "MR5F")


def test_command_says_the_licence(run, tmp_path):
    "Licence and attribution come first; a folder without slices is one line, nothing is written."
    out = run("btnb", "download", "cheng", "--from", tmp_path, "--out", tmp_path/"set", rc=2)
    assert "CC BY 4.0" in out
    assert "e0140381" in out
    assert "holds neither brainTumorDataPublic_*.zip" in out
    assert "Traceback" not in out
    assert os.listdir(tmp_path) == []


# --------------------------------------------------------------------------------------------------
# tools/hashes.py

@pytest.mark.long
def test_tool_lists_hashes_of_bytes(run, root, tmp_path):
    for name in FILES:
        (tmp_path/"set"/name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path/"set"/name, FILES[name])
    for options, hashes in (((), 8), (("--names-only",), 0)):
        out = run("python", root/"tools"/"hashes.py", "brain_tumor_dataset", tmp_path/"set",
                  "--out", tmp_path/"list.csv", *options)
        assert f"8 files, {hashes} hashes" in out
        known = known_files(Dataset("x", "a/b/versions/1", ("no", "yes"),
                                    listing=tmp_path/"list.csv"))
        assert known == {n: hashlib.sha256(b).hexdigest() if hashes else ""
                         for n, b in sorted(FILES.items())}
    assert "holds no files in no, yes" in run("python", root/"tools"/"hashes.py",
                                              "brain_tumor_dataset", tmp_path, "--out",
                                              tmp_path/"x.csv", rc=2)


def test_tool_lists_perceptual_hashes(run, root, eight, tmp_path):
    for f, content in slices().items():
        write(tmp_path/f, content)
    (tmp_path/"set").mkdir()
    convert_matlab(eight, tmp_path, tmp_path/"set")
    assert "8 files, 8 hashes" in run("python", root/"tools"/"hashes.py", "cheng", tmp_path/"set",
                                      "--out", tmp_path/"list.csv")
    made = replace(eight, listing=tmp_path/"list.csv")
    assert [{**r, "phash": ""} for r in listed_rows(made)] == [{**r, "phash": ""}
                                                              for r in listed_rows(eight)]
    assert verify_dataset(made, tmp_path/"set").ok


@pytest.mark.long
def test_tool_makes_the_committed_lists(run, root, real_data, tmp_path):
    "From the real slices, which lie beside the checkout or nowhere."
    folders = {"brain_tumor_dataset": real_data, "cheng": real_data.parent/"cheng"}
    for name, folder in folders.items():
        if not folder.is_dir():
            pytest.skip(f"no {name} beside the checkout")
        run("python", root/"tools"/"hashes.py", name, folder, "--out", tmp_path/"list.csv")
        known = root/"brain_tumor_nb"/"known"/f"{name}.csv"
        assert (tmp_path/"list.csv").read_bytes() == known.read_bytes(), name


def test_real_slices_at_both_sizes(real_data, tmp_path):
    "The 256-pixel copies of cheng and 512-pixel ones made of them pass; a mirrored slice does not."
    folder, known = real_data.parent/"cheng", known_files("cheng")
    if not folder.is_dir():
        pytest.skip("no cheng beside the checkout")
    for f in list(known)[::150]:
        copy = Image.open(folder/f)
        for k, im in enumerate((copy, copy.resize((512, 512), Image.Resampling.BICUBIC),
                                copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
            im.save(tmp_path/f"{k}.png")
        assert [same_content(tmp_path/f"{k}.png", known[f])
                for k in range(3)] == [True, True, False], f
