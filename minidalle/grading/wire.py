"""What crosses between the judge and the sandbox: a frame of JSON and raw tensor bytes, never a pickle.

A frame is a length of text, a length of bytes (little-endian, 8 bytes each), the text, the bytes. A tensor is in the
text as {TENSOR: [dtype, shape, whether it requires a gradient]}; its numbers are the next ones of the bytes, so that no
frame makes more numbers than it has.
"""

import json
import math
import socket
import struct
import time
from typing import Any

import torch
from torch import Tensor

MOST_TEXT, MOST_BYTES = 8 << 20, 64 << 20  # of one frame
MOST_TENSORS, MOST_DIMENSIONS = 20_000, 16
DEEPEST = 80  # lists and dicts in each other
TENSOR, ESCAPE = "\0tensor", "\0"

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
                  torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
}  # fmt: skip

_HEADER = struct.Struct("<QQ")


class Broken(Exception):
    """A frame that is not whole, not in time, or not in the form."""


class Late(Broken):
    """The time was up before a frame was whole."""


class Ended(Broken):
    """The other side is gone."""


def encode(value: Any) -> bytes:
    """A frame of JSON values and tensors.

    Raises:
        Broken: it holds anything else, or more than a frame may.
    """
    pieces: list[bytes] = []
    try:
        text = json.dumps(_flat(value, pieces, 0)).encode()
    except (ValueError, RecursionError) as error:  # a list that holds itself
        raise Broken(f"no JSON: {error}") from None
    blob = b"".join(pieces)
    if len(text) > MOST_TEXT or len(blob) > MOST_BYTES:
        raise Broken(f"{len(text):,} bytes of text and {len(blob):,} of tensors: too much for one answer")
    return _HEADER.pack(len(text), len(blob)) + text + blob


def _flat(value: Any, pieces: list[bytes], depth: int) -> Any:
    if depth > DEEPEST:
        raise Broken("lists in lists without end")
    if isinstance(value, Tensor):
        return {TENSOR: _tensor(value, pieces)}
    if isinstance(value, dict):
        named = {ESCAPE + key if key.startswith(ESCAPE) else key: item for key, item in value.items()}
        return {key: _flat(item, pieces, depth + 1) for key, item in named.items()}
    if isinstance(value, list | tuple):
        return [_flat(item, pieces, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise Broken(f"a {type(value).__name__} is neither JSON nor a tensor")


def _tensor(value: Tensor, pieces: list[bytes]) -> list[Any]:
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES or value.layout is not torch.strided:
        raise Broken(f"a tensor of {value.dtype}, {value.layout}")
    if len(pieces) >= MOST_TENSORS or value.numel() * value.element_size() > MOST_BYTES or value.ndim > MOST_DIMENSIONS:
        raise Broken("more tensors or numbers than one answer may have")
    flat = value.detach().resolve_conj().resolve_neg().reshape(-1)
    plain = torch.empty(flat.shape, dtype=flat.dtype).copy_(flat)  # one number may be stored in strides of its own
    pieces.append(plain.view(torch.uint8).numpy().tobytes())
    return [name, list(value.shape), value.requires_grad]


def decode(text: bytes, blob: bytes) -> Any:
    """The JSON values and tensors of a frame, whoever sent it.

    Raises:
        Broken: it is not what `encode` makes.
    """
    try:
        reader = _Reader(blob)
        value = reader.deep(json.loads(text), 0)
    except (ValueError, TypeError, RecursionError, MemoryError, RuntimeError, OverflowError) as error:
        raise Broken(f"it cannot be read: {type(error).__name__}") from None
    if reader.at != len(blob):
        raise Broken("numbers without a tensor")
    return value


class _Reader:
    """Makes JSON into what it stands for, and takes the tensors' numbers off the bytes, in order."""

    def __init__(self, blob: bytes) -> None:
        self.blob, self.at, self.tensors = blob, 0, 0

    def deep(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise Broken("lists in lists without end")
        if isinstance(value, list):
            return [self.deep(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        if TENSOR in value:
            return self.tensor(value[TENSOR])
        return {key[1:] if key.startswith(ESCAPE) else key: self.deep(item, depth + 1) for key, item in value.items()}

    def tensor(self, told: Any) -> Tensor:
        name, shape, grad = told
        self.tensors += 1
        if name not in DTYPES or type(grad) is not bool or type(shape) is not list:
            raise Broken("a tensor that is none")
        if self.tensors > MOST_TENSORS or len(shape) > MOST_DIMENSIONS:
            raise Broken("more tensors or dimensions than one answer may have")
        if not all(type(side) is int and 0 <= side < 2**40 for side in shape):
            raise Broken("a tensor that is none")
        dtype = DTYPES[name]
        begin, self.at = self.at, self.at + math.prod(shape) * dtype.itemsize
        if self.at > len(self.blob):
            raise Broken("a tensor without its numbers")
        if begin == self.at:
            return torch.empty(shape, dtype=dtype)
        raw = torch.frombuffer(bytearray(self.blob[begin : self.at]), dtype=torch.uint8)
        value = raw != 0 if dtype is torch.bool else raw.view(dtype)  # a bool of another byte is undefined
        return value.reshape(shape).requires_grad_(grad and (dtype.is_floating_point or dtype.is_complex))


def send(connection: socket.socket, value: Any, seconds: float) -> None:
    """Send one frame.

    Raises:
        Broken: nobody takes it, or not in time.
    """
    frame = encode(value)
    try:
        connection.settimeout(seconds)
        connection.sendall(frame)
    except TimeoutError:
        raise Late("nobody took it in time") from None
    except OSError as error:
        raise Ended(f"nobody took it: {error.strerror}") from None


def receive(connection: socket.socket, seconds: float) -> Any:
    """Wait for one frame; what comes after it is not read.

    Raises:
        Broken: it ends early, takes too long, is too long, or cannot be read.
    """
    end = time.monotonic() + seconds
    lengths = _HEADER.unpack(_exactly(connection, _HEADER.size, end))
    if lengths[0] > MOST_TEXT or lengths[1] > MOST_BYTES:
        raise Broken("a frame that is too long")
    return decode(*(_exactly(connection, length, end) for length in lengths))


def read(descriptor: int) -> Any:
    """Read one frame from a file descriptor, as from a socket, without a limit of time."""
    with open(descriptor, "rb", closefd=False) as file:
        lengths = _HEADER.unpack(file.read(_HEADER.size))
        return decode(*(file.read(length) for length in lengths))


def _exactly(connection: socket.socket, length: int, end: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        if (left := end - time.monotonic()) <= 0:
            raise Late("it did not end in time")
        connection.settimeout(left)
        try:
            piece = connection.recv(min(length - len(data), 1 << 20))
        except TimeoutError:
            raise Late("it did not end in time") from None
        except OSError as error:
            raise Ended(f"the line broke: {error.strerror}") from None
        if not piece:
            raise Ended("it ended before it had answered")
        data += piece
    return bytes(data)
