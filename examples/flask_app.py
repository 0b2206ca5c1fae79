"""creche in a Flask app: one process owns the engine, any number of others only read its store.

    python examples/flask_app.py owner tasks.db
    python examples/flask_app.py reader tasks.db http://127.0.0.1:PORT

The owner takes words in (``POST /words``), has them hashed, and answers for them. A reader shows
the same tasks from the file, without an engine, and sends new words on to the owner: so a server
that forks several workers needs one owner beside them, and no worker opens a portal.

TERM or Ctrl-C ends either; what the owner has not done is left to its next start.
"""

# ruff: noqa: INP001, T201 - a script, and what it prints is what it is for

from __future__ import annotations

import hashlib
import signal
import sys
from contextlib import suppress

from flask import Flask, Response, abort, jsonify, request
from werkzeug.serving import make_server

from engine import (
    EngineClosed,
    EnginePortal,
    Reader,
    State,
    TaskNotFound,
    TaskSnapshot,
    default_registry,
    open_reader,
)

LONGEST_WAIT = 20.0
"""Seconds that a request may wait for its task."""

kinds = default_registry()


@kinds.kind("hash-word")
def hash_word(word: str, rounds: int = 20_000) -> str:
    """The work. A kind, not a live object: it is done again when its process dies on the way."""
    return hashlib.pbkdf2_hmac("sha256", word.encode(), b"salt", rounds).hex()


def shown(task: TaskSnapshot, output: str) -> Response:
    """A task as JSON; its output is JSON already."""
    text = f'{{"id":{task.id},"state":"{task.state}","output":{output}}}\n'
    return Response(text, mimetype="application/json")


def owner(engine: EnginePortal) -> Flask:
    """The app beside the engine: requests come in threads, and each may use the portal."""
    app = Flask(__name__)

    @app.post("/words")
    def take() -> tuple[Response, int, dict[str, str]]:
        word = request.form["word"]
        try:
            task_id = engine.submit("hash-word", arguments={"word": word})
        except EngineClosed:
            abort(503)  # it drains
        return jsonify(id=task_id), 202, {"Location": f"/words/{task_id}"}

    @app.get("/words/<int:task_id>")
    def show(task_id: int) -> Response:
        wait = request.args.get("wait", 0.0, float)
        try:
            with suppress(TimeoutError, EngineClosed):  # then as it is now
                engine.wait([task_id], timeout=min(wait, LONGEST_WAIT))
            task = engine.get(task_id)
        except TaskNotFound:
            abort(404)
        succeeded = task.state is State.SUCCEEDED
        return shown(task, engine.output_json(task_id) if succeeded else "null")

    return app


def reader(store: Reader, owner_url: str) -> Flask:
    """The app of every other process: what there is to see is in the file."""
    app = Flask(__name__)

    @app.post("/words")
    def take() -> tuple[str, int, dict[str, str]]:
        return "", 307, {"Location": f"{owner_url}/words"}  # again, there, with the same body

    @app.get("/words/<int:task_id>")
    def show(task_id: int) -> Response:
        try:
            task = store.get(task_id)
        except TaskNotFound:
            abort(404)
        return shown(task, store.output(task_id) if task.state is State.SUCCEEDED else "null")

    return app


def serve(app: Flask) -> None:
    """Serve on loopback, on a port that the system chooses, until TERM or Ctrl-C."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    print(f"ready http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()  # returns on Ctrl-C


def main(role: str, store: str, owner_url: str = "") -> None:
    """Be the owner of a store, or one of its readers."""
    if role == "owner":
        with EnginePortal(store, kinds=kinds) as engine:
            serve(owner(engine))
            engine.drain()
    else:
        serve(reader(open_reader(store), owner_url))


if __name__ == "__main__":
    main(*sys.argv[1:])
