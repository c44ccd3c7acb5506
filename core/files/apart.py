"""Files of others are opened by a library in C in a process apart, which a damaged one may crash or hold up.

One process waits, and forks for each file: what is read by one, good or bad, is never in the memory of another, and
never in that of the program. Where there is no fork the process itself reads, and is started anew after a crash.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..errors import CheckpointError
from .stored import reason

BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import serve; serve()"
PATIENCE = 10  # seconds of the processor for a file, and one more for each mebibyte of it
DIED = "the library that reads it did not survive that, or found no end"
LOCK = threading.Lock()
running: dict[int, subprocess.Popen[str]] = {}


def ask(module: str, name: str, **given: Any) -> dict[str, Any]:
    """What a function of a module of this folder answers to these values, all of it JSON.

    Raises CheckpointError where it does, and where it does not come back.
    """
    if not sys.executable:  # within another program, where no process can be had
        return _opened(_done(module, name, given), given)
    request = json.dumps([module, name, given])
    with LOCK:
        try:
            server = _server()
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(request + "\n")
            server.stdin.flush()
            line = server.stdout.readline()
        except (BrokenPipeError, ConnectionError):
            line = ""
        except BaseException:  # an interruption, after which an answer would be taken for that to another question
            _stop()
            raise
        if not line.endswith("\n"):
            _stop()
    return _opened(line, given)


def _opened(line: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = {"died": True}
    if "refused" in answer:
        raise CheckpointError(str(answer["refused"]))
    if not isinstance(answer.get("found"), dict):
        raise CheckpointError(f"{given['label']} is damaged: {DIED}; nothing was read")
    found: dict[str, Any] = answer["found"]
    return found


def _server() -> subprocess.Popen[str]:
    """The process of this one; a fork of it has none yet."""
    server = running.get(os.getpid())
    if server is None or server.poll() is not None:
        _stop()
        argv = [sys.executable, "-W", "ignore", "-c", BEGIN.format(__name__), json.dumps(sys.path)]
        server = running[os.getpid()] = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
            start_new_session=True,  # which an interruption from the keyboard does not reach
        )
    return server


@atexit.register
def _stop() -> None:
    server = running.pop(os.getpid(), None)
    if server is not None:
        server.kill()
        server.communicate()


def serve() -> None:
    """Answer, a line for a line."""
    importlib.import_module("h5py")
    forks: Callable[[], int] | None = getattr(os, "fork", None)
    for line in sys.stdin:
        module, name, given = json.loads(line)
        importlib.import_module(f"{__package__}.{module}")
        print(_forked(forks, module, name, given) if forks else _done(module, name, given), flush=True)


def _forked(fork: Callable[[], int], module: str, name: str, given: dict[str, Any]) -> str:
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.close(reading)
            _limited(given["path"])
            with open(writing, "w", encoding="ascii") as pipe:
                pipe.write(_done(module, name, given))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="ascii") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer if answer and status == 0 else json.dumps({"died": status})


def _limited(path: str) -> None:
    """End this process where it goes on for too long."""
    import resource

    seconds = PATIENCE + (os.stat(path).st_size >> 20)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _done(module: str, name: str, given: dict[str, Any]) -> str:
    try:
        return json.dumps({"found": getattr(importlib.import_module(f"{__package__}.{module}"), name)(**given)})
    except CheckpointError as error:
        return json.dumps({"refused": str(error)})
    except Exception as error:  # h5py raises whatever the library makes of a damaged file
        text = f"{given['label']} is not a readable Keras file ({reason(error)}); nothing was read"
        return json.dumps({"refused": text})
