"""What kind of thing a value is, as JSON: the type, what is in it, and a tensor's shape, dtype and device.

A list of pairs is {"type": "list", "items": [{"type": "tuple", "items": [{"type": "str"}, {"type": "str"}]}]}; the
items of a list, and a dict's keys and values, are the distinct kinds among them. Kinds of many values together are
a *union*, which forgets the tensors' shapes, so that a student's can be compared with all that would be right.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

Kind = dict[str, Any]
"""One value's kind."""

Union = dict[str, Any]
"""type → what is in it: a union (list, set), two (dict's keys and values), a union for each place by length (tuple)."""

PLAIN = (bool, int, float, str, bytes)
LISTS = (list, set, frozenset)
DEEPEST = 30  # a list may hold itself


def kind(value: object, depth: int = 0) -> Kind:
    """The kind of a value. A `Counter` is a dict, a `Parameter` a Tensor, a named tuple a tuple."""
    if isinstance(value, Tensor):
        name = {"type": "Tensor", "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        return {**name, "device": value.device.type, **({"grad": True} if value.requires_grad else {})}
    if depth > DEEPEST:
        return {"type": "…"}
    if isinstance(value, dict):
        return {"type": "dict", "keys": _distinct(value, depth), "values": _distinct(value.values(), depth)}
    if isinstance(value, tuple):
        return {"type": "tuple", "items": [kind(item, depth + 1) for item in value]}
    if value is None:
        return {"type": "None"}
    known = next((type for type in (*LISTS, *PLAIN) if isinstance(value, type)), type(value))
    items = {"items": _distinct(value, depth)} if isinstance(value, LISTS) else {}
    numpys = known.__name__ == "bool" and known is not bool  # numpy calls its own so, too
    return {"type": "numpy.bool" if numpys else known.__name__, **items}


def _distinct(values: Iterable[object], depth: int) -> list[Kind]:
    found: list[Kind] = []
    seen: set[type] = set()  # most lists hold one plain type: no need to compare kinds
    for value in values:
        if type(value) in seen:
            continue
        if isinstance(value, PLAIN):
            seen.add(type(value))
        if (new := kind(value, depth + 1)) not in found:
            found.append(new)
    return found


def tensors(kinds: Iterable[Kind]) -> Iterator[Kind]:
    """The tensors among kinds and all that is in them."""
    for one in kinds:
        if one["type"] == "Tensor":
            yield one
        for inside in ("keys", "items", "values"):
            yield from tensors(one.get(inside, ()))


def union(kinds: Iterable[Kind]) -> Union:
    """What values can be, of which these are the kinds."""
    together: Union = {}
    by_type: dict[str, list[Kind]] = {}
    for one in kinds:
        by_type.setdefault(one["type"], []).append(one)
    for name, same in by_type.items():
        if name == "dict":
            together[name] = [union(key for one in same for key in one[part]) for part in ("keys", "values")]
        elif name == "tuple":
            by_length: dict[int, list[list[Kind]]] = {}
            for one in same:
                by_length.setdefault(len(one["items"]), []).append(one["items"])
            places = {n: list(zip(*several, strict=True)) for n, several in by_length.items()}
            together[name] = {n: [union(place) for place in placed] for n, placed in places.items()}
        else:
            together[name] = union(item for one in same for item in one.get("items", ()))
    return together


def fits(own: Union, expected: Union) -> bool:
    """Whether values of the first union could be values of the second. What is expected empty may hold anything.

    As in type hints, an int is good enough where a float is expected.
    """
    named = {name: "float" if name == "int" and "int" not in expected else name for name in own}
    return all(known in expected and _inside_fits(name, own[name], expected[known]) for name, known in named.items())


def _inside_fits(name: str, own: Any, expected: Any) -> bool:
    if name == "dict":
        pairs = list(zip(own, expected, strict=True))
    elif name == "tuple" and len(expected) == 1:  # always so long
        if own.keys() != expected.keys():
            return False
        pairs = [pair for n in own for pair in zip(own[n], expected[n], strict=True)]
    elif name == "tuple":
        pairs = [(_any_place(own), _any_place(expected))]
    else:
        pairs = [(own, expected)]
    return all(not expects or fits(has, expects) for has, expects in pairs)


def _any_place(by_length: dict[int, list[Union]]) -> Union:
    """What can be at some place of tuples; one place's union stands for its type."""
    return {name: inside for places in by_length.values() for place in places for name, inside in place.items()}


def in_words(one: Union) -> str:
    """ "a list of int", "a dict from (str, str) to int", "an int or None"."""
    named = [name if name == "None" else f"{_article(name)}{_bare(name, one[name])}" for name in one]
    return " or ".join(named) or "nothing"


def _article(name: str) -> str:
    return "an " if name.startswith(tuple("aeiouAEIOU")) else "a "


def _bare(name: str, inside: Any) -> str:
    if name == "dict":
        keys, values = map(_either, inside)
        return f"dict from {keys} to {values}" if keys else "dict"
    if name == "tuple":
        several = [", ".join(map(_either, places)) for places in inside.values()]
        return f"tuple ({several[0]})" if len(several) == 1 else "tuple"
    return f"{name} of {_either(inside)}" if inside else name


def _either(one: Union) -> str:
    return " or ".join(_bare(*item).removeprefix("tuple ") for item in one.items())
