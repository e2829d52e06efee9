"""`download` against a local server that plays Kaggle: the real kagglehub runs, no network is needed.

kagglehub's own switch KAGGLE_API_ENVIRONMENT=LOCALHOST makes it ask http://localhost; HTTP_PROXY leads that to a server on a free
port. All images are simulated noise.
"""
import base64, errno, hashlib, io, json, os, shutil, subprocess, sys, threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor_nb.download import (DATASETS, Dataset, dataset_note, download, hash_files, install_dataset, known_files, unpack_zip,
                                verify_dataset)


def need_kagglehub():
    return pytest.importorskip("kagglehub", reason='needs the extra "data": pip install -e ".[data]"')


def png(seed):
    buf = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 24), dtype=np.uint8)).save(buf, "png")
    return buf.getvalue()


FILES = {f"{c}/{c} {i}.png": png(10*k + i) for k, c in enumerate(("no", "yes")) for i in range(4)}


def doubled(files=FILES):
    "As Kaggle's archive of the tutorial's set: everything twice."
    return {**{f"brain_tumor_dataset/{n}": b for n, b in files.items()}, **files}


def make_zip(files):
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as z:
        for n, b in files.items(): z.writestr(n, b)
    return buf.getvalue()


def failure(fn, *kinds):
    "The one line `fn` fails with."
    with pytest.raises(kinds or (RuntimeError, ValueError)) as e: fn()
    line = str(e.value)
    assert "\n" not in line and "Traceback" not in line, line
    return line


@pytest.fixture
def tiny(tmp_path):
    "A simulated set with its list."
    listing = tmp_path/"tiny.csv"
    listing.write_text("file,sha256\n" + "".join(f"{n},{hashlib.sha256(b).hexdigest()}\n" for n, b in FILES.items()), encoding="utf-8")
    return Dataset("tiny", "somebody/tiny-set/versions/7", ("no", "yes"), listing=listing)


class Kaggle:
    "Kaggle's API and its file store, on a free local port."
    def __init__(self):
        self.archive, self.status, self.kind, self.md5 = make_zip(doubled()), 200, "application/zip", None
        self.cut, self.stall, self.asked = 0, 0, []
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *a): pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kaggle.asked.append((self.path, json.loads(body), self.headers.get("Authorization")))
                if kaggle.status != 200:
                    message = json.dumps({"code": kaggle.status, "message": "Kaggle says no\nat length"}).encode()
                    return self.answer(kaggle.status, message, {"Content-Type": "application/json"})
                self.answer(302, b"", {"Location": "http://files.localhost/set.zip?signed=1"})

            def do_GET(self):
                kaggle.asked.append((self.path, None, self.headers.get("Authorization")))
                head = {"Content-Type": kaggle.kind}
                if kaggle.md5: head["x-goog-hash"] = f"crc32c=AAAAAA==,md5={kaggle.md5}"
                self.answer(200, kaggle.archive, head, kaggle.cut)

            def answer(self, status, body, head, cut=0):
                self.send_response(status)
                for k, v in {**head, "Content-Length": str(len(body))}.items(): self.send_header(k, v)
                self.end_headers()
                if kaggle.stall and body:
                    self.wfile.write(body[:len(body)//2]); self.wfile.flush(); time.sleep(kaggle.stall)
                    cut = len(body)
                self.wfile.write(body[:len(body)-cut])
                if cut: self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=.02), daemon=True).start()

    def close(self): self.server.shutdown(); self.server.server_close()


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    need_kagglehub()
    srv = Kaggle()
    proxy = f"http://127.0.0.1:{srv.server.server_port}"
    home = tmp_path/"home"; home.mkdir()
    for k in ("NO_PROXY", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(k, raising=False); monkeypatch.delenv(k.lower(), raising=False)
    for k in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_KERNEL_RUN_TYPE", "TBE_RUNTIME_ADDR"):
        monkeypatch.delenv(k, raising=False)
    for k, v in dict(HTTP_PROXY=proxy, http_proxy=proxy, KAGGLE_API_ENVIRONMENT="LOCALHOST", HOME=home, USERPROFILE=home,
                     KAGGLE_CONFIG_DIR=home, KAGGLEHUB_CACHE=home/"cache").items(): monkeypatch.setenv(k, str(v))
    yield srv
    srv.close()


@pytest.fixture
def place(tmp_path):
    "An empty folder to download into."
    (tmp_path/"place").mkdir()
    return tmp_path/"place"


# ---------------------------------------------------------------------------------------------------- Kaggle, played

def test_download_from_kaggle(kaggle, tiny, place, capsys):
    data = download(tiny, place/"set")
    assert data == place/"set" and hash_files(data) == {n: hashlib.sha256(b).hexdigest() for n, b in FILES.items()}
    assert os.listdir(place) == ["set"] and sorted(os.listdir(data)) == ["no", "yes"]       # once, not twice; nothing beside it
    (url, asked, auth), (store, _, auth2) = kaggle.asked
    assert url == "http://localhost/api/v1/datasets.DatasetApiService/DownloadDataset" and store.endswith("set.zip?signed=1")
    assert (asked["ownerSlug"], asked["datasetSlug"], asked["datasetVersionNumber"]) == ("somebody", "tiny-set", 7)
    assert auth is None and auth2 is None                                                    # a public set needs no key
    assert capsys.readouterr().out == ""                                                     # standard output stays clean
    if os.name == "posix": assert data.stat().st_mode & 0o777 == place.stat().st_mode & 0o777

    kaggle.close()                                                                           # a second run asks nobody
    start = time.perf_counter()
    assert download(tiny, place/"set") == data and len(kaggle.asked) == 2
    assert time.perf_counter() - start < 1


def test_default_place(kaggle, tiny, place, monkeypatch):
    monkeypatch.chdir(place)
    assert download(tiny) == Path("data")/"tiny" and verify_dataset(tiny, "data").ok


def test_empty_folder_is_filled(kaggle, tiny, place):
    (place/"set").mkdir()
    assert verify_dataset(tiny, download(tiny, place/"set")).ok


@pytest.mark.parametrize("status,words", [(401, "refused the key"), (403, "refused the key"), (404, "no longer has it"),
                                          (429, "HTTP 429: try again later"), (503, "HTTP 503: try again later")])
def test_kaggle_says_no(kaggle, tiny, place, status, words):
    kaggle.status = status
    line = failure(lambda: download(tiny, place/"set"))
    assert words in line and tiny.page in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


def test_a_key_is_used_and_a_broken_one_named(kaggle, tiny, place, monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "me"); monkeypatch.setenv("KAGGLE_KEY", "secret-of-mine"); kaggle.status = 401
    line = failure(lambda: download(tiny, place/"set"))
    assert "refused the key" in line and "secret" not in line
    assert kaggle.asked[0][2] == "Basic " + base64.b64encode(b"me:secret-of-mine").decode()
    for k in ("KAGGLE_USERNAME", "KAGGLE_KEY"): monkeypatch.delenv(k)
    Path(os.environ["KAGGLE_CONFIG_DIR"], "kaggle.json").write_text("{", encoding="utf-8")
    import kagglehub.config
    monkeypatch.setattr(kagglehub.config, "DEFAULT_KAGGLE_CREDENTIALS_FOLDER", os.environ["KAGGLE_CONFIG_DIR"])
    assert "Invalid Kaggle credentials file" in failure(lambda: download(tiny, place/"set"))


def test_no_network(kaggle, tiny, place):
    kaggle.close()
    line = failure(lambda: download(tiny, place/"set"))
    assert "no connection" in line and tiny.page in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


@pytest.mark.parametrize("play,words", [
    (dict(cut=300), "broke off"),                                                         # the line drops
    (dict(md5=base64.b64encode(hashlib.md5(b"other").digest()).decode()), "damaged"),     # a bit flips on the way
    (dict(archive=b"<html>Please sign in</html>", kind="text/html"), "sign-in page"),     # a hotel's network
    (dict(archive=make_zip(FILES)[:-200]), "damaged or no archive"),                      # the file store holds half
], ids=["cut", "md5", "html", "half"])
def test_what_arrives_is_damaged(kaggle, tiny, place, play, words):
    vars(kaggle).update(play)
    line = failure(lambda: download(tiny, place/"set"))
    assert words in line and "--from FILE.zip" in line
    assert os.listdir(place) == []


def test_bad_crc_inside_the_archive(kaggle, tiny, place):
    raw = bytearray(make_zip(FILES)); at = raw.find(FILES["yes/yes 2.png"]); raw[at+40] ^= 1
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
    kaggle.archive = make_zip({**{layout + n: b for n, b in FILES.items()}, "__MACOSX/no/x.png": b"", layout + "no/.DS_Store": b""})
    assert sorted(os.listdir(download(tiny, place/"set"))) == ["no", "yes"]


def test_zip_slip_from_kaggle(kaggle, tiny, place, tmp_path):
    before = sorted(p for p in tmp_path.iterdir())
    kaggle.archive = make_zip({**FILES, "../../out.png": b"boo", "../../../out.png": b"boo", str(tmp_path/"abs.png"): b"boo"})
    data = download(tiny, place/"set")      # kagglehub unpacks these inside its folder; they are no part of the set
    assert sorted(os.listdir(data)) == ["no", "yes"] and os.listdir(place) == ["set"]
    assert sorted(p for p in tmp_path.iterdir()) == before and not list(tmp_path.rglob("out.png")) + list(tmp_path.rglob("abs.png"))


def test_kaggle_notebooks_hand_out_a_cache(tiny, place, monkeypatch, tmp_path):
    "On Kaggle and Colab the download is a shared folder: it is copied from, never moved or changed."
    hub, cache = need_kagglehub(), unpack_zip(write(tmp_path/"c.zip", make_zip(doubled())), tmp_path/"cache")
    monkeypatch.setattr(hub, "dataset_download", lambda handle, output_dir: str(cache))
    assert verify_dataset(tiny, download(tiny, place/"set")).ok and len(hash_files(cache)) == 16


# ---------------------------------------------------------------------------------------------------- the disk

@pytest.mark.parametrize("by_hand", [False, True], ids=["kaggle", "zip"])
def test_disk_full(kaggle, tiny, place, tmp_path, by_hand):
    resource = pytest.importorskip("resource")       # a limit on file size gives the same OSError family as a full disk
    kaggle.archive = make_zip({**FILES, "no/big.png": bytes(np.random.default_rng(0).integers(0, 255, 4_000_000, dtype=np.uint8))})
    source = write(tmp_path/"a.zip", kaggle.archive) if by_hand else None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try: line = failure(lambda: download(tiny, place/"set", source=source))
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
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
    (place/"set").mkdir(); (place/"set"/"thesis.txt").write_text("mine")
    line = failure(lambda: download(tiny, place/"set"))
    assert "is there already" in line and "8 missing" in line and (place/"set"/"thesis.txt").read_text() == "mine"


def test_somebody_else_was_faster(tiny, place, tmp_path):
    "Two downloads at once: the later one accepts a whole set under the target's name, and nothing else."
    src = unpack_zip(write(tmp_path/"a.zip", make_zip(FILES)), tmp_path/"src")
    for k, (name, b) in enumerate({"no/no 0.png": FILES["no/no 0.png"], "no/odd.png": b"?"}.items()):
        unpack_zip(tmp_path/"a.zip", place/"set"); (place/"set"/name).write_bytes(b); (tmp_path/f"t{k}").mkdir()
        if k == 0: assert install_dataset(tiny, src, place/"set", tmp_path/"t0").ok
        else:
            with pytest.raises(OSError): install_dataset(tiny, src, place/"set", tmp_path/"t1")
    assert (place/"set"/"no"/"odd.png").read_bytes() == b"?"


def test_killed_halfway(kaggle, tiny, place):
    "A killed process leaves no folder under the target's name."
    kaggle.stall = 60
    code = (f"from pathlib import Path; from brain_tumor_nb.download import Dataset, download; "
            f"download(Dataset('tiny', {tiny.handle!r}, ('no','yes'), listing=Path({str(tiny.listing)!r})), {str(place/'set')!r})")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    proc = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    try:
        end = time.time() + 60
        while len(kaggle.asked) < 2 and proc.poll() is None and time.time() < end: time.sleep(.02)
        assert proc.poll() is None and len(kaggle.asked) == 2
        time.sleep(.2)
    finally: proc.kill(); out = proc.communicate()[0]
    assert out == b""                                                  # kagglehub's messages leave standard output clean
    assert not (place/"set").exists() and all(n.startswith(".set-") for n in os.listdir(place))
    kaggle.stall = 0
    assert verify_dataset(tiny, download(tiny, place/"set")).ok        # and the next run is not disturbed


# ---------------------------------------------------------------------------------------------------- by hand

def write(path, data): path.write_bytes(data); return path


def test_zip_by_hand(tiny, place, tmp_path):
    data = download(tiny, place/"set", source=write(tmp_path/"by hand.zip", make_zip(doubled())))
    assert verify_dataset(tiny, data).ok and sorted(os.listdir(data)) == ["no", "yes"]


def test_folder_by_hand(tiny, place, tmp_path):
    src = unpack_zip(write(tmp_path/"a.zip", make_zip(doubled())), tmp_path/"src")
    assert verify_dataset(tiny, src).ok                                        # a folder unpacked by hand, verified where it is
    assert download(tiny, src) == src                                          # ... and accepted as a target
    assert verify_dataset(tiny, download(tiny, place/"set", source=src)).ok and len(hash_files(src)) == 16


@pytest.mark.parametrize("name", ["../out.png", "no/../../out.png", "/out.png", "..\\out.png", "C:\\out.png", "C:/out.png"])
def test_zip_slip_by_hand(tiny, place, tmp_path, name):
    line = failure(lambda: download(tiny, place/"set", source=write(tmp_path/"a.zip", make_zip({**FILES, name: b"boo"}))))
    assert "would be written outside its folder" in line and os.listdir(place) == []


def test_symlink_in_a_zip_stays_a_file(tiny, tmp_path):
    info = zipfile.ZipInfo("no/link"); info.external_attr = 0o120777 << 16; info.create_system = 3
    with zipfile.ZipFile(tmp_path/"a.zip", "w") as z: z.writestr(info, "/etc/passwd")
    assert not (unpack_zip(tmp_path/"a.zip", tmp_path/"x")/"no"/"link").is_symlink()


@pytest.mark.parametrize("data", [b"", b"not a zip", make_zip(FILES)[:-30], make_zip(FILES)[50:]], ids=["empty", "text", "cut", "headless"])
def test_bad_zip_by_hand(tiny, place, tmp_path, data):
    assert "download it again" in failure(lambda: download(tiny, place/"set", source=write(tmp_path/"a.zip", data)))
    assert os.listdir(place) == []


def test_missing_source(tiny, place):
    assert "does not exist" in failure(lambda: download(tiny, place/"set", source="nowhere.zip"), FileNotFoundError)


# ---------------------------------------------------------------------------------------------------- lists and names

def test_unknown_name():
    assert "choose brain_tumor_dataset or brain_mri_4class" in failure(lambda: download("kaggle"))


def test_committed_lists():
    first, second = known_files("brain_tumor_dataset"), known_files("brain_mri_4class")
    assert len(first) == 253 and all(len(h) == 64 and int(h, 16) for h in first.values())
    assert len(second) == 5708 and set(second.values()) == {""}            # names only, and the verdict says so
    for known in (first, second): assert not any("\\" in f or f.startswith("/") or ".." in f for f in known)
    for n in DATASETS: assert DATASETS[n].page in dataset_note(n) and "publisher" in dataset_note(n)


def test_four_classes_by_name(kaggle, place):
    "The names-only list, with Testing beside Training and one file beyond the list; contents are free."
    names = [*known_files("brain_mri_4class"), "Training/notumor/Tr-no_9999.jpg", "Testing/glioma/Te-gl_0010.jpg"]
    kaggle.archive = make_zip(dict.fromkeys(names, b"simulated"))
    data = download("brain_mri_4class", place/"set")
    assert data == place/"set"/"Training" and sorted(os.listdir(data)) == ["glioma", "meningioma", "notumor", "pituitary"]
    v = verify_dataset("brain_mri_4class", data)
    assert v.ok and not v.contents and len(v.extra) == 2
    assert "names verified, contents not: no hashes of the published files were at hand" in str(v)
    assert kaggle.asked[0][1]["datasetVersionNumber"] == 1
    (data/"glioma"/"Tr-gl_0010.jpg").unlink()
    assert "1 missing (Training/glioma/Tr-gl_0010.jpg)" in failure(lambda: download("brain_mri_4class", place/"set"))


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
