"The command `btnb` in the process of the tests, where starting one of its own would tell no more."
import io
from contextlib import redirect_stderr, redirect_stdout

from brain_tumor_nb import cli


def btnb(*args):
    "`btnb` in this process: its status and what it says on standard error."
    with redirect_stderr(io.StringIO()) as err, redirect_stdout(io.StringIO()):
        try:
            cli.main([str(a) for a in args])
        except SystemExit as e:
            return e.code, err.getvalue()
    return 0, err.getvalue()


def refusal(*args):
    "The only line of ours, after status 2 and without a traceback."
    status, said = btnb(*args)
    lines = [l for l in said.splitlines() if l.startswith("btnb: ")]
    assert status == 2 and len(lines) == 1 and "Traceback" not in said, said
    return lines[0]
