"""The lines of a report: each looks at one thing in all cases, from the signature to whether the inputs were kept."""

from collections.abc import Iterator, Sequence

from minidalle.course.checking.compare import difference, same
from minidalle.course.checking.faults import in_words as error_in_words
from minidalle.course.checking.findings import RUNS, Line
from minidalle.course.checking.kinds import Kind, Union, fits, tensors, union
from minidalle.course.checking.kinds import in_words as kind_in_words
from minidalle.course.checking.limits import TimeUp
from minidalle.course.checking.observe import Observation, parameters
from minidalle.course.checking.shown import cut
from minidalle.exercises.exercise import Exercise, Plain

WEIGHTS = {"signature": 0.5, RUNS: 0.0, "type": 1.0, "shape": 1.0, "dtype": 0.5, "device": 0.5, "values": 6.0,
           "gradients": 6.0, "detached": 2.0, "inputs kept": 1.0}  # fmt: skip
"""What a line earns, of those that apply. That it runs earns nothing by itself: a case that does not has no value.
Gradients are looked at where they are half of the answer, and count as much as values. Where there should be none,
so that doing nothing is often right, they count less, as "detached"."""

GRADIENTS, DETACHED = "gradients", "detached"

LAZY = {"generator", "map", "filter", "zip", "range", "dict_keys", "dict_values", "dict_items", "reversed", "enumerate"}
OF_NUMPY = {"numpy.bool", "bool_", "int64", "int32", "float32"}

Pairs = Sequence[tuple[Observation, Observation]]
"""For each case the student's observation and the reference's."""


def judged_lines(
    exercise: Exercise, own: Sequence[Observation], true: Sequence[Observation], names: Sequence[str] | None
) -> tuple[Line, ...]:
    """The lines that apply, in order. It ends where no more can be said: it never ran, or returned another type."""
    pairs = list(zip(own, true, strict=True))
    wanted = parameters(exercise.reference) or []
    lines = [] if names is None else [_signature(names, wanted)]
    lines.append(_runs(pairs))
    ran = [
        (one, other) for one, other in pairs if one.error is None or not one.error["inside"] or _same_error(one, other)
    ]
    if not ran:
        return tuple(lines)
    lines.append(_type(ran, union(kind for other in true for kind in other.kinds)))
    if not lines[-1].ok:
        return tuple(lines)
    if any(True for other in true for _ in tensors(other.kinds)):
        lines += [_of_tensors(name, ran) for name in ("shape", "dtype", "device")]
    lines.append(_values(pairs, exercise.tolerance))
    if any(_gradients(other.result) is not None for other in true):
        name = GRADIENTS if any(map(_has_graph, true)) else DETACHED
        lines.append(Line(name, not (said := _gradients_said(pairs, exercise.tolerance)), said))
    if any(other.kept for other in true):
        lines.append(_kept(pairs, wanted))
    return tuple(lines)


def right(one: Observation, other: Observation, allowed: Union, tolerance: float) -> bool:
    """Whether nothing is wrong in one case.

    Args:
        one: the student's observation.
        other: the reference's.
        allowed: what the reference returns, in all cases together.
        tolerance: of numbers.
    """
    if one.error or other.error:
        return _same_error(one, other)
    leaves = [[{**leaf, "grad": 0} for leaf in tensors(seen.kinds)] for seen in (one, other)]
    kept = set(one.changed) <= set(other.changed)
    return (
        fits(union(one.kinds), allowed)
        and leaves[0] == leaves[1]
        and kept
        and same(one.result, other.result, tolerance)
    )


def _same_error(one: Observation, other: Observation) -> bool:
    """Whether both raised, and the same: an exercise may ask for an error."""
    return bool(one.error and other.error and one.error["type"] == other.error["type"])


def _signature(names: Sequence[str], wanted: Sequence[str]) -> Line:
    """The same parameters in the same order; more of them need a default."""
    if any(name.startswith("**") for name in names) and any(name.startswith("*") for name in names):
        return Line("signature", True, _written(names))
    enough = len(names) >= len(wanted) and all(
        name in (want, f"{want}=") for name, want in zip(names, wanted, strict=False)
    )
    more = all(name.endswith("=") or name.startswith("*") for name in names[len(wanted) :])
    said = f"parameters {_written(names)}, expected {_written(wanted)}"
    return Line("signature", enough and more, _written(names) if enough and more else said)


def _written(names: Sequence[str]) -> str:
    return f"({', '.join(f'{name}…' if name.endswith('=') else name for name in names)})"


def _runs(pairs: Pairs) -> Line:
    failed = [one for one, other in pairs if one.error and one.error["inside"] and not _same_error(one, other)]
    if not failed:
        return Line(RUNS, True, _cases(len(pairs)))
    assert failed[0].error
    words = error_in_words(failed[0].error)
    some = len(failed) < len(pairs) and failed[0].error["type"] != TimeUp.__name__  # after that none is run
    return Line(RUNS, False, f"{words} ({len(failed)} of {_cases(len(pairs))})" if some else words)


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"


def _type(ran: Pairs, allowed: Union) -> Line:
    own = union(kind for one, _ in ran for kind in one.kinds)
    if fits(own, allowed):
        return Line("type", True, kind_in_words(own) if own else "")
    odd = [one.kinds for one, _ in ran if not fits(union(one.kinds), allowed)]
    if "None" in own and "None" not in allowed:
        nothing = sum(any(kind["type"] == "None" for kind in kinds) for kinds in odd)
        if len(own) == 1:
            return Line("type", False, f"returned None, expected {kind_in_words(allowed)}: is there a `return`?")
        return Line(
            "type", False, f"returned None in {nothing} of {_cases(len(ran))}: does every way end at a `return`?"
        )
    own = union(kind for kinds in odd for kind in kinds)
    share = f" in {len(odd)} of {_cases(len(ran))}" if len(odd) < len(ran) else ""
    return Line(
        "type", False, f"expected {kind_in_words(allowed)}, got {kind_in_words(own)}{share}{_way_out(own, allowed)}"
    )


def _way_out(own: Union, allowed: Union) -> str:
    """What makes the one type of the other, where that is one word."""
    has, wants = next(iter(own), ""), next(iter(allowed), "")
    if has == wants == "list":
        return _way_out(own["list"], allowed["list"])
    if wants == "list" and has in {*LAZY, "tuple", "set"}:
        return ": `list(…)` makes a list of it"
    if wants == "tuple" and has == "list":
        return ": `tuple(…)` makes a tuple of it"
    if wants in ("int", "float", "bool") and has == "Tensor":
        return ": `.item()` takes the number out"
    if wants in ("int", "float", "bool") and has in OF_NUMPY:
        return ": `.item()`, and of an array `.tolist()`, makes Python's own of it"
    if wants == "Tensor" and has == "ndarray":
        return ": `torch.from_numpy(…)` makes a Tensor of it"
    if wants == "Tensor" and has in ("int", "float"):
        return ": a Tensor's own methods keep it one, as `.clamp` does; `.item()` and Python's `min` do not"
    return ": was it meant to be called?" if has in ("function", "method", "builtin_function_or_method") else ""


def _of_tensors(name: str, ran: Pairs) -> Line:
    """Shape, dtype or device of every tensor that is returned."""
    wrong = [leaves for one, other in ran if not one.error and (leaves := _unlike(name, one.kinds, other.kinds))]
    if not wrong:
        shown = dict.fromkeys(str(leaf[name]) for one, _ in ran for leaf in tensors(one.kinds))
        return Line(name, True, ", ".join(shown) if len(shown) <= 3 else "")
    share = "" if len(wrong) == len(ran) else f" ({len(wrong)} of {_cases(len(ran))})"
    return Line(name, False, f"{wrong[0][0]}, expected {wrong[0][1]}{share}")


def _unlike(name: str, own: Sequence[Kind], true: Sequence[Kind]) -> tuple[str, str] | None:
    mine, theirs = [leaf[name] for leaf in tensors(own)], [leaf[name] for leaf in tensors(true)]
    if len(mine) != len(theirs) and name == "shape":
        return f"{len(mine)} different shapes", str(len(theirs))
    return next(((str(a), str(b)) for a, b in zip(mine, theirs, strict=False) if a != b), None)


def _values(pairs: Pairs, tolerance: float) -> Line:
    wrong = [(one, other) for one, other in pairs if not same_values(one, other, tolerance)]
    if not wrong:
        return Line("values", True, _cases(len(pairs)))
    said = f"right in {len(pairs) - len(wrong)} of {_cases(len(pairs))}"
    unusable = [one.error for one, _ in wrong if one.error and not one.error["inside"]]
    if unusable:
        said += f"; what it returned could not be used: {error_in_words(unusable[0])}"
    return Line("values", False, said)


def same_values(one: Observation, other: Observation, tolerance: float) -> bool:
    """Whether what one case returns is right, gradients aside."""
    if one.error or other.error:
        return _same_error(one, other)
    return same(_without_gradients(one.result), _without_gradients(other.result), tolerance)


def _without_gradients(result: Plain) -> Plain:
    return {key: value for key, value in result.items() if key != GRADIENTS} if isinstance(result, dict) else result


def _gradients(result: Plain) -> Plain:
    return result.get(GRADIENTS) if isinstance(result, dict) else None


def _gradients_said(pairs: Pairs, tolerance: float) -> str:
    """What is wrong with the gradients, in words; "" where nothing is."""
    ran = [(one, other) for one, other in pairs if not one.error]  # a case that does not run has a line of its own
    if any(_has_graph(other) and not _has_graph(one) for one, other in ran):
        return "none: `detach`, `item` or `no_grad` cuts the result off from its inputs"
    for one, other in ran:
        own, expected = _gradients(one.result), _gradients(other.result)
        if words := difference(own, expected, tolerance):
            return _none_said(own, expected) or words
    return ""


def _none_said(own: Plain, expected: Plain) -> str:
    """Why there are no gradients, where a probe says so in place of numbers."""
    if isinstance(own, dict) and isinstance(expected, dict):
        told = {name: said for name, said in own.items() if isinstance(said, str) and name in expected}
        return next((cut(said) for name, said in told.items() if not isinstance(expected[name], str)), "")
    return ""


def _has_graph(seen: Observation) -> bool:
    return any("grad" in leaf for leaf in tensors(seen.kinds))


def _kept(pairs: Pairs, wanted: Sequence[str]) -> Line:
    changed = {key for one, other in pairs for key in one.changed if key not in other.changed}
    names = list(dict.fromkeys(_named(changed, wanted)))
    if not names:
        return Line("inputs kept", True)
    was = "was" if len(names) == 1 else "were"
    return Line("inputs kept", False, f"{' and '.join(names)} {was} changed: work on a copy")


def _named(positions: set[int | str], wanted: Sequence[str]) -> Iterator[str]:
    for key in sorted(positions, key=str):
        known = isinstance(key, int) and key < len(wanted)
        yield f"`{wanted[int(key)].rstrip('=')}`" if known else f"argument {key}"
