"""A small HTTP service around a trained network, for this machine alone. For teaching.

    python examples/serve.py MODEL 8000
    curl --data-binary @slice.png http://127.0.0.1:8000

MODEL is a run folder, or a file of `btnb export`, which needs no torch. The answer is JSON.
"""
import json
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from brain_tumor_nb.files import predict_files

LIMIT = 20_000_000      # bytes of an upload


def load(model):
    "The network of a run folder, or of an exported file."
    if Path(model).is_file():
        from brain_tumor_nb.portable import Portable
        return Portable(model)
    from brain_tumor_nb.learners import Ensemble
    from brain_tumor_nb.runs import Run
    return Ensemble(Run(model).learners())


def answer(net, content):
    "Status and facts for the content of a picture in any format."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/"upload"
        file.write_bytes(content)
        (_, probs, unfamiliar), = predict_files(net, [file])
    if isinstance(probs, Exception):
        return 400, {"error": str(probs).removeprefix(f"{file}: ")}
    each = {name: round(float(p), 6) for name, p in zip(net.classes, probs)}
    return 200, {"probabilities": each, "unfamiliar": unfamiliar}


class Handler(BaseHTTPRequestHandler):
    timeout = 10                                        # seconds for a client that says nothing

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        status, found = 400, {"error": f"send a picture of 1 to {LIMIT:,} bytes"}
        if size.isdecimal() and len(size) < 20 and 0 < int(size) <= LIMIT:
            status, found = answer(self.server.net, self.rfile.read(int(size)))
        found["note"] = "For teaching. Not a medical device."
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(found).encode() + b"\n")


def main(model, port="8000"):
    with HTTPServer(("127.0.0.1", int(port)), Handler) as server:
        server.net = load(model)
        print(f"http://127.0.0.1:{server.server_port} answers. For teaching, not a medical device.",
              "Ctrl-C ends it.", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except (OSError, OverflowError, RuntimeError, TypeError, ValueError) as e:
        sys.exit(f"serve: {e} (python examples/serve.py MODEL PORT)")
