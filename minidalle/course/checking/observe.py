"""What a function does: it is called through a probe on every case, and what is seen is noted. No answer is needed.

This is the student's side. It runs where no expected value is, and what it returns is JSON values and tensors.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from minidalle.course.checking.faults import fault
from minidalle.course.checking.kinds import DEEPEST, Kind, kind
from minidalle.course.checking.limits import Printed, TimeUp, quiet, within
from minidalle.course.checking.ordinary import ordinary_torch
from minidalle.course.checking.shown import short
from minidalle.exercises.exercise import Case, Function, Plain

SECONDS = 5.0  # for all calls of one check


@dataclass(frozen=True)
class Observation:
    """What one call of a probe showed, all of it JSON values and tensors.

    Attributes:
        result: what the probe returned; tuples are lists here, and what is no JSON is text.
        kinds: the distinct kinds of what the function returned, in order of appearance.
        kept: its arguments that can be changed and were not, by position or name.
        changed: its arguments that it changed.
        error: what stopped it: type, message, line, number and place of the line in the student's code, and whether
            it arose in the student's function (`inside`) or in the probe afterwards. None where it ran.
        calls: how often the probe called the function.
        arguments: the first call's arguments, and `returned` what it returned, as short text for a report.
        printed: how many characters it printed, and `print_begins` the first that all cases printed.
    """

    result: Plain = None
    kinds: list[Kind] = field(default_factory=list)
    kept: list[int | str] = field(default_factory=list)
    changed: list[int | str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    calls: int = 0
    arguments: list[str] = field(default_factory=list)
    returned: str = ""
    printed: int = 0
    print_begins: str = ""

    def as_plain(self) -> dict[str, Plain]:
        """JSON values and tensors, of which `Observation(**plain)` makes the same again."""
        return asdict(self)


def observe(
    function: Function,
    probe: Callable[..., Plain],
    cases: Iterable[Case],
    seconds: float | None = SECONDS,
    device: str = "cpu",
) -> list[Observation]:
    """Put every case to a function.

    Args:
        function: a student's, a reference or a wrong answer.
        probe: is called as `probe(recorder, **case)`, where the recorder stands for the function.
        cases: JSON values and tensors by name; each call has its own copy.
        seconds: for all cases together; None for no limit. The case at which they are over has the error "TimeUp",
            as have those after it.
        device: where the cases' tensors are put.

    Returns:
        One observation for each case.
    """
    cases, names = list(cases), parameters(function) or []
    recorders: list[_Recorder] = []
    seen: list[Observation] = []

    def all_cases() -> None:
        for case in cases:
            recorders.append(_Recorder(function, names, printed))
            seen.append(_observe(recorders[-1], probe, dict(case), device))

    with quiet() as printed, ordinary_torch():
        try:
            all_cases() if seconds is None else within(seconds, all_cases)
        except TimeUp as up:
            late = fault(up, inside=True)
            if len(recorders) > len(seen):
                seen.append(recorders[-1].observation(error=late))
            seen += [Observation(error=late)] * (len(cases) - len(seen))
    return seen


def parameters(function: Function) -> list[str] | None:
    """A function's parameters: "word", "size=" with a default, "*words", "**options". None where nobody can tell."""
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    stars: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [f"{stars.get(one.kind, '')}{one.name}{'' if one.default is one.empty else '='}" for one in known]


def plain(value: object, depth: int = 0) -> Plain:
    """A copy of a value as JSON values and tensors: tuples become lists, and dicts whose keys are no text, pairs."""
    if isinstance(value, Tensor):
        return "a tensor without values" if value.device.type == "meta" else value.detach().cpu().clone()
    if value is None or isinstance(value, bool):
        return value
    for simple in (int, float, str):
        if isinstance(value, simple):
            return simple(value)
    if depth > DEEPEST:
        return "…"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, dict):
        return [[plain(key, depth + 1), plain(item, depth + 1)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return short(value)


def _observe(recorder: "_Recorder", probe: Callable[..., Plain], case: dict[str, Any], device: str) -> Observation:
    try:  # also the copy: what an earlier call did to a GPU shows at the next use of it
        return recorder.observation(plain(probe(recorder, **_copied(case, device))))
    except (KeyboardInterrupt, TimeUp):
        raise
    except BaseException as raised:  # SystemExit, too: nothing of a student's ends the check
        return recorder.observation(error=fault(raised, inside=raised is recorder.raised))


class _Recorder:
    """Stands for a function: calls it, and notes what it is given and what it gives back."""

    def __init__(self, function: Function, names: list[str], printed: Printed) -> None:
        self.function, self.__wrapped__, self.__name__ = function, function, getattr(function, "__name__", "function")
        self.names, self.printed = names, printed
        self.printed_before = printed.characters
        self.calls, self.returned, self.arguments = 0, "", list[str]()
        self.kinds, self.kept, self.changed = list[Kind](), list[int | str](), list[int | str]()
        self.raised: BaseException | None = None

    def observation(self, result: Plain = None, error: dict[str, Any] | None = None) -> Observation:
        """What was seen in one case."""
        printed = self.printed.characters - self.printed_before
        return Observation(result, self.kinds, self.kept, self.changed, error, self.calls, self.arguments,
                           self.returned, printed, self.printed.beginning if printed else "")  # fmt: skip

    def __call__(self, *values: Any, **named: Any) -> Any:
        given: dict[int | str, Any] = dict(enumerate(values)) | named
        before = {key: _copied(value) for key, value in given.items() if _can_change(value)}
        self.calls += 1
        if self.calls == 1:
            self.arguments = self._texts(given)
        try:
            returned = self.function(*values, **named)
        except BaseException as error:
            self.raised = error
            raise
        finally:
            self._compare(before, given)
        if (one := kind(returned)) not in self.kinds:
            self.kinds.append(one)
        if self.calls == 1:
            self.returned = short(returned)
        return returned

    def _texts(self, given: dict[int | str, Any]) -> list[str]:
        known = dict(enumerate(self.names))
        names = [known.get(key, "").rstrip("=") if isinstance(key, int) else key for key in given]
        return [
            f"{name} = {short(value)}" if name.isidentifier() else short(value)
            for name, value in zip(names, given.values(), strict=True)
        ]

    def _compare(self, before: dict[int | str, Any], after: dict[int | str, Any]) -> None:
        for key, value in before.items():
            if not _alike(value, after[key]) and key not in self.changed:
                self.changed.append(key)
            elif key not in self.kept:
                self.kept.append(key)
        self.kept = [key for key in self.kept if key not in self.changed]


def _can_change(value: object) -> bool:
    return isinstance(value, Tensor | list | dict | set) or (isinstance(value, tuple) and any(map(_can_change, value)))


def _copied(value: Any, device: str | None = None) -> Any:
    """A copy, with all that is in it, tensors on a device; what is neither a tensor nor a container is itself."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(device or value.device).requires_grad_(value.requires_grad)
    if isinstance(value, dict):
        return {key: _copied(item, device) for key, item in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_copied(item, device) for item in value)
    return value


def _alike(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        like = isinstance(after, Tensor) and before.shape == after.shape and before.dtype == after.dtype
        like = like and before.device == after.device
        return like and (before.device.type == "meta" or bool(_equal(before, after.detach()).all()))
    if isinstance(before, dict):
        like = isinstance(after, dict) and before.keys() == after.keys()
        return like and all(_alike(before[key], after[key]) for key in before)
    if isinstance(before, list | tuple):
        return isinstance(after, list | tuple) and len(before) == len(after) and all(map(_alike, before, after))
    return bool(before is after or before == after)


def _equal(before: Tensor, after: Tensor) -> Tensor:
    return (before == after) | ((before != before) & (after != after))  # nan is nan
