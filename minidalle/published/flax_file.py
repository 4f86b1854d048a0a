"""Flax's msgpack files: the tree of arrays in one, found without running anything and without reading an array.

msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) writes a value as a byte that says its kind and
size, and then the value. Flax (`flax.serialization`) writes nested maps of strings, and an array as extension type
1, which holds another msgpack: [shape, name of the dtype, bytes]. An array of more than a gigabyte is a map with
its shape and flat chunks. The reader keeps where the bytes of each array are; numbers are read when asked for.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.published.stored import Stored

DTYPES = {
    name: getattr(torch, name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
ARRAY, SCALAR = 1, 3  # flax's extension types; 2 is a complex number
CHUNKED = "__msgpack_chunked_array__"
DEEPEST = 64  # values in values; published trees have 9
MOST_AXES = 32
MOST_SAID = 300  # characters of a message: what is wrong may be as long as the file

_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
            0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}  # fmt: skip
_SIZED = {0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
          0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4),
          0xDE: ("map", 2), 0xDF: ("map", 4)}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@dataclass(frozen=True)
class Span:
    """Bytes of the file that were not read: where they begin, and how many they are."""

    start: int
    size: int


@dataclass(frozen=True)
class Array:
    """An array of the file: its bytes are the spans, one after the other."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    spans: tuple[Span, ...]


@dataclass
class _Reader:
    """Reads one value after the other, and knows where it is for the messages."""

    file: BinaryIO
    end: int
    place: list[str] = field(default_factory=list)
    depth: int = 0

    def value(self) -> Any:
        """The next value: a map, list, text, number or None; a `Span` for bytes, an `Array` for flax's arrays."""
        kind = self.take(1)[0]
        if kind <= 0x7F or kind >= 0xE0:
            return kind if kind <= 0x7F else kind - 256
        if kind >= 0xA0 and kind <= 0xBF:
            return self.sized("str", kind & 31)
        if kind <= 0x9F:
            return self.sized("map" if kind <= 0x8F else "array", kind & 15)
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _NUMBERS:
            return struct.unpack(_NUMBERS[kind], self.take(struct.calcsize(_NUMBERS[kind])))[0]
        if 0xD4 <= kind <= 0xD8:
            return self.sized("ext", 1 << (kind - 0xD4))
        if kind not in _SIZED:
            raise self.wrong(f"the byte {kind:#x} begins no value")
        name, width = _SIZED[kind]
        return self.sized(name, int.from_bytes(self.take(width), "big"))

    def sized(self, kind: str, size: int) -> Any:
        """A value of that many bytes or entries."""
        if kind == "str":
            return self.take(size).decode("utf-8", "strict")
        if kind == "bin":
            return self.skip(size)
        if self.depth == DEEPEST:
            raise self.wrong(f"values lie deeper than {DEEPEST} levels")
        self.depth += 1
        found = self.inside(kind, size)
        self.depth -= 1
        return found

    def inside(self, kind: str, size: int) -> Any:
        """A value that holds others."""
        if kind == "ext":
            return self.extension(self.take(1)[0], size)
        self.room(size)  # each entry takes a byte at least
        return [self.value() for _ in range(size)] if kind == "array" else dict(self.entries(size))

    def entries(self, size: int) -> Iterator[tuple[str, Any]]:
        """The keys and values of a map; keys are text and come once."""
        seen = set()
        for _ in range(size):
            key = self.value()
            if not isinstance(key, str) or key in seen:
                raise self.wrong(f"the key {key!r} is no text, or comes twice")
            seen.add(key)
            self.place.append(key)
            yield key, self.value()
            self.place.pop()

    def extension(self, kind: int, size: int) -> Array:
        """An array or a scalar of flax's: a msgpack in the msgpack."""
        self.room(size)
        after = self.file.tell() + size
        if kind not in (ARRAY, SCALAR):
            raise self.wrong(f"extension type {kind} is no array")
        inner = _Reader(self.file, after, self.place, self.depth).value()
        if (
            self.file.tell() != after
            or not isinstance(inner, list)
            or len(inner) != 3
            or not isinstance(inner[2], Span)
        ):
            raise self.wrong("an array is not written as shape, dtype and bytes")
        shape, dtype, span = inner
        return self.array(shape, dtype, (span,))

    def array(self, shape: Any, dtype: Any, spans: tuple[Span, ...]) -> Array:
        """An array, if its bytes are as many as its shape and dtype say."""
        known = isinstance(dtype, str) and dtype in DTYPES and isinstance(shape, list) and len(shape) <= MOST_AXES
        if not known or not all(type(n) is int and n >= 0 for n in shape):
            raise self.wrong(f"an array has the shape {shape} and the dtype {dtype!r}")
        size, needed = sum(span.size for span in spans), math.prod(shape) * DTYPES[dtype].itemsize
        if size != needed:
            raise self.wrong(f"an array of shape {shape} and dtype {dtype} has {size} bytes: expected {needed}")
        return Array(tuple(shape), DTYPES[dtype], spans)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        self.room(size)
        return self.file.read(size)

    def skip(self, size: int) -> Span:
        """Leave the next bytes where they are."""
        self.room(size)
        span = Span(self.file.tell(), size)
        self.file.seek(size, 1)
        return span

    def room(self, size: int) -> None:
        """Make sure that so many bytes are left."""
        left = self.end - self.file.tell()
        if size > left:
            raise self.wrong(f"the file ends too early: {size} bytes are needed, {left} are left")

    def wrong(self, problem: str) -> CheckpointError:
        """An error that says where."""
        return CheckpointError(f"{'/'.join(self.place) or 'at the start'}: {problem}"[:MOST_SAID])


def read_flax(path: Path) -> dict[str, Stored]:
    """The arrays of a flax msgpack file, by their path in the tree: `model/encoder/embed_tokens/embedding`.

    Raises:
        CheckpointError: the file cannot be read, is cut off, or holds something else than a tree of arrays.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            tree = _Reader(file, size).value()
            rest = size - file.tell()
        if rest or not isinstance(tree, dict):
            raise CheckpointError(f"{rest} bytes follow the tree" if rest else "the file holds no tree")
        arrays = dict(_flatten(tree, ()))
    except CheckpointError as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return {
        name: Stored(array.shape, array.dtype, lambda layer, array=array: _read(path, array, layer))  # type: ignore[misc]
        for name, array in arrays.items()
    }


def _flatten(tree: dict[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, Array]]:
    """Path → array. A wrapper `params`, with which flax begins a tree of variables, is left out."""
    for key, value in tree.items():
        here = () if key == "params" and not place and len(tree) == 1 else (*place, key)
        if isinstance(value, dict) and CHUNKED in value:
            yield "/".join(here), _joined(value, here)
        elif isinstance(value, dict):
            yield from _flatten(value, here)
        elif isinstance(value, Array):
            yield "/".join(here), value
        else:
            raise CheckpointError(f"{'/'.join(here)}: {type(value).__name__} is no array")


def _joined(value: dict[str, Any], place: tuple[str, ...]) -> Array:
    """A large array, which flax cuts into flat chunks."""
    try:
        shape = [value["shape"][str(axis)] for axis in range(len(value["shape"]))]
        chunks = [value["chunks"][str(number)] for number in range(len(value["chunks"]))]
        (dtype,) = {str(chunk.dtype).removeprefix("torch.") for chunk in chunks}
        spans = tuple(span for chunk in chunks for span in chunk.spans)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{'/'.join(place)}: its chunks are not as flax writes them") from error
    return _Reader(None, 0, list(place)).array(shape, dtype, spans)  # type: ignore[arg-type]


def _read(path: Path, array: Array, layer: int | None) -> Tensor:
    """An array's numbers, or those of one entry of its first axis: only these bytes are read."""
    shape = array.shape if layer is None else array.shape[1:]
    size = math.prod(shape) * array.dtype.itemsize
    bytes_ = torch.empty(size, dtype=torch.uint8)
    target, done, start = bytes_.numpy().data, 0, (layer or 0) * size
    with open(path, "rb") as file:
        for span in array.spans:
            count = min(span.size - start, size - done)
            if count > 0:
                file.seek(span.start + start)
                if file.readinto(target[done : done + count]) != count:
                    raise CheckpointError(f"cannot read {path}: the file has become shorter")
                done += count
            start = max(start - span.size, 0)
    return bytes_.view(array.dtype).view(shape)
