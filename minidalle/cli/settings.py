"""`--set NAME=VALUE`: a stage's settings, where a preset's own will not do."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from minidalle.errors import require
from minidalle.presets import Preset


def with_settings(preset: Preset, stage: str, asked: Sequence[str]) -> Preset:
    """A preset in which some settings of a stage's training are others.

    Args:
        preset: where the settings come from.
        stage: `vqgan` or `bart`, if anything is asked for.
        asked: each `NAME=VALUE`, as in `accumulate=4` or `compile=true`.

    Raises:
        InvalidValue: there is no such setting, or it cannot have that value.
    """
    if not asked:
        return preset
    require(stage in ("vqgan", "bart"), "--set", asked[0], f"none for {stage}: only vqgan and bart have settings")
    config = getattr(preset.training, stage)
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    plain = {name: value for name, value in known.items() if isinstance(value, bool | int | float | str)}
    changed = {}
    for setting in asked:
        name, equals, text = setting.partition("=")
        require(bool(equals), "--set", setting, "NAME=VALUE, such as steps=100")
        require(name in plain, "--set", setting, f"NAME=VALUE, the name one of {', '.join(plain)}")
        changed[name] = _read(setting, text, plain[name])
    return replace(preset, training=replace(preset.training, **{stage: replace(config, **changed)}))


def _read(setting: str, text: str, now: Any) -> Any:
    """The value that a text stands for, of the type of the present one."""
    kind = type(now)
    if kind is bool:
        require(text in ("true", "false"), "--set", setting, "true or false")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        numbers = {int: "a whole number", float: "a number"}
        require(False, "--set", setting, numbers[kind])
