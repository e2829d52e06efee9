"The command `btnb` in the process of the tests, where starting one of its own would tell no more."
import io
from contextlib import redirect_stderr, redirect_stdout

from brain_tumor_nb import cli


def spoken(*args):
    "`btnb` in this process: its status, what it says, and what on standard error."
    with redirect_stderr(io.StringIO()) as err, redirect_stdout(io.StringIO()) as out:
        try:
            cli.main([str(a) for a in args])
        except SystemExit as e:
            return e.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def btnb(*args):
    "The status of `btnb` in this process and what it says on standard error."
    status, _, err = spoken(*args)
    return status, err


def said(*args, rc=0):
    "What the fixture `run` returns of `btnb`: all that it printed, after the status `rc`."
    status, out, err = spoken(*args)
    assert status == rc, f"btnb {' '.join(map(str, args))} ended with {status}:\n{out}{err}"
    return out + err


def refusal(*args):
    "The only line of ours, after status 2 and without a traceback."
    status, err = btnb(*args)
    lines = [l for l in err.splitlines() if l.startswith("btnb: ")]
    assert status == 2 and len(lines) == 1 and "Traceback" not in err, err
    return lines[0]
