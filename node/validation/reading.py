"""Validating a document with pydantic, whose errors become problems that show no value.

pydantic's own errors hold the refused values and unknown keys, and a value may be a resident's identifier.
They never leave this module: ``read`` keeps only the kind and the place of each fault, and the error that a
caller raises later has neither cause nor context. A remedy comes from the field's description, and an
unknown key is shown only if it looks like the name of a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from node.errors import RefusalError
from node.validation.documents import Problem, shown_key
from node.validation.model import MISSING, REMEDY, Place, StrictModel

Model = TypeVar("Model", bound=StrictModel)


def read(
    model: type[Model],
    value: object,
    file: str,
    problems: list[Problem],
    *,
    at: str = "",
    context: object = None,
) -> Model | None:
    """Validate a decoded document or a part of one.

    Args:
        model: what it must be.
        value: the decoded JSON or TOML.
        file: name shown in problems.
        problems: every fault is added to it.
        at: path of ``value`` inside the file.
        context: what the model's validators are given.

    Returns:
        The document, or None where it has a fault.
    """
    try:
        return model.model_validate(value, context=context, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = [(one["type"], one["loc"], one.get("ctx", {})) for one in error.errors(include_input=False)]
    for kind, place, details in faults:
        if kind == "too_short" and any(other[: len(place)] == place != other for _, other, _ in faults):
            continue  # pydantic counts the well-formed items only, and the others are reported
        unknown = kind == "extra_forbidden"
        field = _path(at, place[:-1] if unknown else place)
        if unknown:
            field = _path(field, (shown_key(str(place[-1])),))
        problems.append(Problem(file, field, _remedy(model, value, kind, place, details)))
    return None


def read_request(model: type[Model], value: object, name: str) -> Model:
    """Validate a request.

    Args:
        model: what it must be.
        value: the decoded JSON.
        name: what the request is called in the message.

    Raises:
        RefusalError: ``malformed``, with every fault.
    """
    problems: list[Problem] = []
    found = read(model, value, name, problems)
    if found is None:
        raise RefusalError("malformed", "; ".join(str(problem) for problem in problems))
    return found


def _path(at: str, place: Place) -> str:
    """A path with positions that count from 1."""
    for step in place:
        if isinstance(step, int):
            at += f"[{step + 1}]"
        else:
            at += f".{step}" if at else step
    return at


def _remedy(
    model: type[StrictModel], value: object, kind: str, place: Place, details: Mapping[str, Any]
) -> str:
    """What to do about one fault; made of constants and of the model's own texts."""
    if kind == REMEDY:
        return str(details["remedy"])
    if kind == "extra_forbidden":
        inner = _model_in(_annotation_at(model, place[:-1]))
        names = () if inner is None else sorted(name for name, _ in _fields(inner))
        return f"is not known here: remove it or use one of {', '.join(names)}"
    need = _need(_annotation_at(model, place))
    if kind == MISSING or _is_null(value, place):
        return f"is missing: give {need}"
    return f"is empty: give {need}" if kind == "too_short" else f"must be {need}"


def _is_null(value: object, place: Place) -> bool:
    """Whether a document's JSON null stands at this place, which counts as missing."""
    for step in place:
        try:
            value = value[step]  # type: ignore[index]  # whatever cannot be indexed is no table or list
        except (LookupError, TypeError):
            return False
    return value is None


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """A model's fields under the names that a document uses."""
    for name, field in model.model_fields.items():
        yield str(field.validation_alias or name), field


def _annotation_at(model: type[BaseModel], place: Place) -> Any:
    """The type at a place, with the descriptions on the way to it."""
    annotation: Any = model
    for step in place:
        if isinstance(step, int):
            annotation = get_args(_plain(annotation))[0]
            continue
        inner = _model_in(annotation)
        field = None if inner is None else dict(_fields(inner)).get(step)
        if field is None:
            return annotation
        annotation = Annotated[field.annotation, field]
    return annotation


def _plain(annotation: Any) -> Any:
    """A type without annotations and without None as an alternative."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    others = [one for one in get_args(annotation) if one is not type(None)]
    if len(others) < len(get_args(annotation)):
        return _plain(others[0])
    return annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a type is, or is a list of."""
    plain = _plain(annotation)
    if get_origin(plain) is tuple:
        return _model_in(get_args(plain)[0])
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _need(annotation: Any) -> str:
    """What a value of this type must be, for the end of a sentence."""
    described = _description(annotation)
    if described is not None:
        return described
    plain = _plain(annotation)
    if get_origin(plain) is tuple:
        return f"a list, each item {_need(get_args(plain)[0])}"
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(plain))
    if isinstance(plain, type) and issubclass(plain, StrictModel):
        return plain.need
    return {str: "a text", bool: "true or false", int: "an integer"}.get(plain, "a value of another kind")


def _description(annotation: Any) -> str | None:
    """The outermost description of a type; that of a list's items is not the list's."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        own = [one.description for one in metadata if isinstance(one, FieldInfo) and one.description]
        return own[-1] if own else _description(inner)
    others = [one for one in get_args(annotation) if one is not type(None)]
    return _description(others[0]) if len(others) < len(get_args(annotation)) else None
