"""A library's own configuration against a spec: it tells what neither names nor shapes of weights do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from .errors import SpecError
from .source import REQUIRED, Among, Setting, Source
from .spec import Spec, rounded

ABSENT = object()


def is_same(ours: Any, theirs: Any) -> bool:
    """Whether a field has a library's value, exactly or as a check rounds it."""
    return bool(ours == theirs or (isinstance(theirs, float) and ours == rounded(theirs)))


def is_of(source: Source, config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of this table's family of networks."""
    needed = [setting.key for setting in source.settings if setting.default is REQUIRED]
    return config.get("model_type") in (None, source.model_type) and all(config.get(key) is not None for key in needed)


def check(spec: Spec, source: Source, config: Mapping[str, Any], label: str) -> None:
    """Raises SpecError where a library's configuration, if there is one, is not the spec's, with the fields to give."""
    if not config:
        return
    if config.get("model_type") not in (None, source.model_type):
        raise SpecError(
            f"the configuration of {label} is that of the model_type {config['model_type']!r}, and this {spec.name} "
            f"stands for a {source.family}, {source.model_type!r}"
        )
    said, give = [], {}
    for setting in source.settings:
        theirs, ours = _read(setting, config), spec.fields().get(setting.field)
        meant = _meant(setting, theirs)
        if setting.only and ours not in setting.only:
            continue
        if meant is ABSENT:
            said.append(f"{setting.key} {theirs!r}, which no {spec.name} has")
        elif _differs(setting, ours, meant):
            said.append(f"{setting.key} {theirs!r}, where this {spec.name} has {setting.field} {ours!r}")
            give[setting.field] = meant
    if said:
        fields = ", ".join(f"{field}={value!r}" for field, value in give.items())
        raise SpecError(f"the configuration of {label} has {'; and '.join(said)}{f'; give {fields}' if give else ''}")


def fields_of(source: Source, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of the specs that a configuration may be of, the likeliest first.

    Raises SpecError for a value that no spec has.
    """
    found, odd = {key: value for key, value in source.requires}, []
    for setting in source.settings:
        theirs = _read(setting, config)
        meant = _meant(setting, theirs)
        if meant is ABSENT and setting.only:
            continue
        if meant is ABSENT:
            odd.append(f"{setting.key} {theirs!r}")
        elif setting.field and meant is not None:
            found[setting.field] = meant
    if odd:
        raise SpecError(f"the configuration has {' and '.join(odd)}, which no spec has")
    allowed = [value.values if isinstance(value, Among) else (value,) for value in found.values()]
    return [dict(zip(found, values, strict=True)) for values in itertools.product(*allowed)]


def _read(setting: Setting, config: Mapping[str, Any]) -> Any:
    value = config.get(setting.key)
    if value is None and setting.default is not REQUIRED:
        value = setting.default(config) if callable(setting.default) else setting.default
    return value


def _meant(setting: Setting, theirs: Any) -> Any:
    if not setting.values or theirs is None:
        return theirs
    return next((ours for value, ours in setting.values if value == theirs), ABSENT)


def _differs(setting: Setting, ours: Any, theirs: Any) -> bool:
    if not setting.compared or not setting.field or None in (ours, theirs):
        return False
    return not is_same(ours, theirs)
