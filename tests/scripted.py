"""An endpoint that does to each item what its script says, and a curation with its store, its stages plain functions."""

import asyncio
import json
import socket
import threading
import time
from contextlib import contextmanager

import uvicorn
from prefect.logging import disable_run_logger
from starlette.responses import Response

from schemas.run import started
from tasks.annotation import freeze_pool, import_labels, label_items, unlabelled, versions
from tasks.annotator.llm import PROBE
from tasks.consensus import settled_for_training
from tasks.document import read_documents
from tasks.endpoint.call import Patience
from tasks.item import find_neighbours, make_items
from tasks.split import assign_splits
from tasks.store import Store

KEY = "sk-a-key-that-nobody-may-see"
QUICK = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, call_s=0.5, item_s=0.3)


class Stub:
    """An endpoint on this machine that speaks the OpenAI protocol and does to each item what its script says."""

    def __init__(self):
        self.script, self.asked, self.bodies, self.at_once, self.most_at_once = {}, [], [], 0, 0

    async def answer(self, request):
        body = await request.json()
        text = asked(body["messages"][-1])
        if text == PROBE.text:
            return await says('{"label": "good"}')()
        self.asked.append(text)
        self.bodies.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.01)
            return await self.script.get(text, says('{"label": "good"}'))()
        finally:
            self.at_once -= 1


def asked(message):
    """Return the text a user turn asks about: it stands in JSON, between two marked lines."""
    _, item, _ = message["content"].split("\n")
    return json.loads(item)["text"]


def says(content, **changed):
    """Return a script: a completion with that content, its choice changed."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None} | changed
    return sends({"model": "m-1", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})


def sends(answer, status=200):
    async def script():
        return Response(json.dumps(answer), status, media_type="application/json")

    return script


def refuses(status, code=None, message="no"):
    return sends({"error": {"message": message, "code": code}}, status)


def breaks_off():
    """Return a script: the connection goes in the middle of an answer."""

    class Broken(Response):
        async def __call__(self, scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"999")]})
            await send({"type": "http.response.body", "body": b'{"choices"', "more_body": True})
            raise ConnectionResetError

    async def script():
        return Broken()

    return script


def hangs():
    async def script():
        await asyncio.sleep(5)
        return Response()

    return script


def at_first(first, then):
    """Return a script that does one thing the first time and another from then on."""
    turns = [first]

    async def script():
        return await (turns.pop() if turns else then)()

    return script


@contextmanager
def serving(app):
    """Yield the address of an app served from a thread of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join()


class Bench:
    """A curation with its store, where stages are called as plain functions."""

    def __init__(self, folder):
        self.folder = folder
        self.change(models=["{name: zero, kind: llm, model: m}"])

    def change(self, models=None, labels=None, guidelines=None, extra=""):
        """Write the curation anew with what is given, the rest as it was."""
        self.models = models or self.models
        self.labels = labels or getattr(self, "labels", {"good": "Happy.", "bad": "Unhappy."})
        if guidelines is not None:
            (self.folder / "guide.md").write_text(guidelines)
        guide = "guidelines: guide.md" if (self.folder / "guide.md").exists() else ""
        lines = ["name: reviews", "labels:", "  kind: choice", f"  values: {json.dumps(self.labels)}", f"  {guide}"]
        lines += ["sources: [{path: data-*.jsonl, fields: {id: id, group: group}}]", "annotators:"]
        lines += [f"  - {model}" for model in self.models]
        lines += ["  - {name: crowd, kind: human, path: 'labels-*.csv', fields: {annotator: who, time: at}}"]
        (self.folder / "curation.yaml").write_text("\n".join([*lines, extra]) + "\n")

    def arrive(self, name, *texts, group=None):
        """Let documents arrive, each its own id, and make items of them."""
        rows = [{"id": text, "text": text, "group": group} for text in texts]
        (self.folder / f"data-{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = self.run()
        with disable_run_logger():
            read_documents.fn(run, run.curation.sources[0])
            for stage in (make_items, find_neighbours, assign_splits):
                stage.fn(run)

    def people(self, name, *lines):
        """Let people label, from lines of `document person label time`."""
        rows = [",".join("" if cell == "-" else cell for cell in line.split()) for line in lines]
        (self.folder / f"labels-{name}.csv").write_text("\n".join(["item_id,who,label,at", *rows]) + "\n")
        run = self.run()
        with disable_run_logger():
            import_labels.fn(run, run.curation.people[0])

    def run(self):
        return started(str(self.folder), home=str(self.folder / "home"))

    def label(self, name="zero"):
        """Return what one annotator took to label all that it has not labelled."""
        run = self.run()
        (model,) = (model for model in run.curation.models if model.name == name)
        with disable_run_logger():
            present = versions.fn(run)
            return asyncio.run(label_items.fn(run, model, present[name], unlabelled.fn(run, model, present)))

    def freeze(self, name):
        """Return the size of an annotator's pool, frozen if it was not."""
        run = self.run()
        (model,) = (model for model in run.curation.models if model.name == name)
        with disable_run_logger():
            return freeze_pool.fn(run, model, settled_for_training.fn(run))

    def sql(self, query):
        return Store(self.run().store).connect().sql(query).fetchall()

    def said(self):
        """Return text, label and reason of each annotation by a model."""
        return self.sql("select text, label, reason from annotation join item using (item_id) order by text")


def settle(bench, *texts, group=None, name="settled"):
    """Let documents arrive that two people agree on."""
    bench.arrive(name, *texts, group=group)
    votes = [(text, who) for text in texts for who in ("ann", "bob", "cid")]
    lines = ["item_id,who,label,at", *(f"{text},{who},good," for text, who in votes)]
    (bench.folder / f"labels-{name}.csv").write_text("\n".join(lines) + "\n")
    run = bench.run()
    with disable_run_logger():
        import_labels.fn(run, run.curation.people[0])
