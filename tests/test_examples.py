"The scripts of examples/ on slices of the sample: what they print, a real server, slips."
import json
import runpy
import shutil
import socket
import sys
import threading
from http.client import HTTPConnection
from http.server import HTTPServer
from pathlib import Path

import pytest

from brain_tumor_nb.data import find_data
from brain_tumor_nb.runs import Run

EXAMPLES = Path(__file__).resolve().parents[1]/"examples"


def load(name):
    "A script as a module: its names."
    return runpy.run_path(str(EXAMPLES/f"{name}.py"))


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    "Six slices of each class."
    home = tmp_path_factory.mktemp("examples")/"slices"
    for folder in (p for p in find_data("sample").iterdir() if p.is_dir() and p.name[0] != "."):
        for file in sorted(folder.glob("*.png"))[:6]:
            (home/folder.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, home/folder.name)
    return home


@pytest.fixture(scope="module")
def trained(slices):
    "A run folder, written by the example."
    out = slices.parent/"run"
    load("train_folder")["main"]([str(slices), str(out), "--folds", "2", "--size", "48"])
    return out


def test_train_folder(trained):
    run = Run(trained)
    assert run.config.folds == 2 and run.config.trainable == 0 and len(run.predictions) == 18
    assert (trained/"report.html").exists() and (trained/"sections"/"probes.json").exists()


def test_score_csv(trained, tmp_path, capsys):
    "The figures are those of the run; without the patients it says so."
    main = load("score_csv")["main"]
    main([str(trained/"predictions.csv")])
    said = capsys.readouterr()
    rows = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    value = Run(trained).metrics["accuracy"]["value"]
    assert rows["accuracy"].startswith(f"{100*value:.1f} % ") and " to " in rows["accuracy"]
    assert said.err == ""
    table = [line.split(",") for line in
             (trained/"predictions.csv").read_text(encoding="utf-8").splitlines()]
    (tmp_path/"theirs.csv").write_text("\n".join(",".join(r[:3] + r[4:]) for r in table),
                                       encoding="utf-8")
    main([str(tmp_path/"theirs.csv")])
    assert "each slice counts by itself" in capsys.readouterr().err


@pytest.fixture(scope="module")
def port(trained):
    "The port of the service, in this process."
    serve = load("serve")
    with HTTPServer(("127.0.0.1", 0), serve["Handler"]) as server:
        server.net = serve["load"](trained)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def post(port, content):
    "Status and facts of an answer."
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/", content)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_serve(port, trained, slices):
    "The same probabilities as `predict_files`, and what it is for."
    from brain_tumor_nb.files import predict_files
    from brain_tumor_nb.learners import Ensemble
    file = next(slices.glob("glioma/*.png"))
    status, found = post(port, file.read_bytes())
    net = Ensemble(Run(trained).learners())
    (_, probs, unfamiliar), = predict_files(net, [file])
    assert status == 200 and found["unfamiliar"] is unfamiliar
    assert list(found["probabilities"]) == list(net.classes)
    assert list(found["probabilities"].values()) == pytest.approx(probs.tolist(), abs=1e-6)
    assert "Not a medical device" in found["note"]


@pytest.mark.parametrize("content, line", [
    (b"", "send a picture of 1 to 20,000,000 bytes"), (b"hello", "not an image"),
    (b"\x89PNG\r\n\x1a\n" + bytes(40), "")], ids=["nothing", "text", "damaged"])
def test_bad_upload(port, content, line):
    "One clear line, without a path of this machine."
    status, found = post(port, content)
    assert status == 400 and line in found["error"] and len(found["error"].splitlines()) == 1
    assert "/" not in found["error"] and "Not a medical device" in found["note"]


@pytest.mark.parametrize("size", ["20000001", "9"*5000], ids=["large", "absurd"])
def test_too_large_an_upload_is_not_read(port, size):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"POST / HTTP/1.0\r\nContent-Length: {size}\r\n\r\n".encode())
        answer = client.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0] and b"20,000,000" in answer


@pytest.mark.parametrize("words", [
    ("train_folder.py", "nowhere", "run"), ("score_csv.py", "nowhere.csv"),
    ("serve.py", "nowhere", "0"), ("serve.py",)], ids=" ".join)
def test_slip(words, tmp_path, monkeypatch):
    "One line, no traceback, nothing written."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(words))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES/words[0]), run_name="__main__")
    name = Path(words[0]).stem
    assert end.value.code.startswith(f"{name}: ") and len(end.value.code.splitlines()) == 1
    assert ("nowhere" if words[1:] else "MODEL PORT") in end.value.code
    assert not list(tmp_path.iterdir())
