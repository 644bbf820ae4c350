"""Tools for language models: what a function declares once gives its definitions and its checked call.

A door declares a typed function or method with `tool`. Its name, its annotations, the first paragraph of its docstring
and the Args of it are the definition; `Tools` offers several to a model, and calls what the model asks for.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, get_type_hints

from tasktrail.formats.json_object import dotted, shown
from tasktrail.model.errors import BadInput, NotFound, TasktrailError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

__all__ = [
    "Effect",
    "Progress",
    "Schema",
    "Shape",
    "Tool",
    "Tools",
    "Words",
    "answering",
    "check_limit",
    "progress",
    "refusal",
    "reporting_to",
    "tool",
]

Schema = dict[str, Any]
Words = dict[str, Any]
"""How every tool answers: `status` is success or error; an error has `message`, `code`, and where known a `hint`."""

Progress = Callable[[float, float | None, str], None]
"""Is told how much of a call is done, of how much (None: nobody knows), and what that is."""

_MARK: Final = "__tasktrail_tool__"
_KINDS: Final[Mapping[str, str]] = MappingProxyType({
    "dict_type": "an object", "mapping_type": "an object", "sequence_str": "a list", "is_instance_of": "a list",
})  # fmt: skip
"""What was expected, by the code of what is wrong, where the words for it would be those of a programmer."""
_listener: ContextVar[Progress | None] = ContextVar("tasktrail_progress", default=None)
_ARGUMENT: Final = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_F = TypeVar("_F", bound=Callable[..., Words])
_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Effect:
    """What calling a tool may do.

    Args:
        reads: It changes nothing.
        destroys: It may take away what was there before.
        repeats: The same call once more changes nothing more.
    """

    reads: bool = False
    destroys: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """What definitions say of an annotated argument; whether a value is like that the tool finds out itself."""

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core: object, handler: object) -> Schema:
        """Stand for what would be made from the annotated type."""
        return dict(self.schema)


@dataclass(frozen=True, slots=True)
class _Declared:
    effect: Effect
    title: str
    losses: Callable[..., str] | None
    answer: Schema | None


def tool(
    *,
    reads: bool = False,
    destroys: bool = False,
    repeats: bool = False,
    title: str = "",
    losses: Callable[..., str] | None = None,
    answer: Schema | None = None,
) -> Callable[[_F], _F]:
    """Declare a function as a tool; what it may do is as in `Effect`.

    Args:
        title: What people see; empty is its name in words.
        losses: Takes what the tool takes, and returns in words what the call would take away; empty is nothing. A face
            behind which there is a person asks before such a call.
        answer: JSON Schema of what it returns when all went well, where programs read that.
    """

    def declare(function: _F) -> _F:
        setattr(function, _MARK, _Declared(Effect(reads, destroys, repeats), title, losses, answer))
        return function

    return declare


def progress(done: float, total: float | None = None, words: str = "") -> None:
    """Say how far a tool's call is, to whoever waits for it; nobody may."""
    if (tell := _listener.get()) is not None:
        tell(done, total, words)


@contextmanager
def reporting_to(listener: Progress) -> Iterator[None]:
    """Let calls that are made meanwhile, in this context, say to a listener how far they are."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@dataclass(frozen=True, slots=True)
class Tool:
    """One declared function, and what models are told of it."""

    function: Callable[..., Words]

    @property
    def name(self) -> str:
        """The function's."""
        return str(self._declared.__name__)

    @property
    def description(self) -> str:
        """The first paragraph of its docstring."""
        return " ".join((inspect.getdoc(self._declared) or "").partition("\n\n")[0].split())

    @property
    def schema(self) -> Schema:
        """JSON Schema of its arguments."""
        return _schema(self._declared)

    @property
    def title(self) -> str:
        """What people see."""
        return self._mark.title or self.name.replace("_", " ").capitalize()

    @property
    def answer(self) -> Schema | None:
        """JSON Schema of what it returns when all went well; None where nobody said."""
        return self._mark.answer

    @property
    def effect(self) -> Effect:
        """What calling it may do."""
        return self._mark.effect

    def losses(self, arguments: Mapping[str, Any]) -> str:
        """Return in words what a call would take away; empty is nothing.

        Args:
            arguments: As `check` returned them.
        """
        asked = self._mark.losses
        if asked is None:
            return ""
        owner = getattr(self.function, "__self__", None)
        return asked(**arguments) if owner is None else asked(owner, **arguments)

    @property
    def _mark(self) -> _Declared:
        found: _Declared = getattr(self._declared, _MARK)
        return found

    @property
    def _declared(self) -> Any:
        """The function itself, where this one is bound to an object."""
        return getattr(self.function, "__func__", self.function)

    def check(self, arguments: Mapping[str, Any]) -> Words:
        """Return arguments as they are to be passed on: null, where nothing is needed, is as if it were not given.

        Raises:
            BadInput: The details name all that is missing, unknown, or of another type.
        """
        from pydantic import ValidationError

        given: Words = _given(arguments, self.schema)
        try:
            _model(self._declared).model_validate(given, strict=True)
        except ValidationError as error:
            faults = [_fault(one, self) for one in error.errors(include_url=False)]
            raise BadInput(f"{self.name} cannot be called like this", details=faults) from None
        return given


class Tools:
    """Declared functions, as they are offered to a model and called by it.

    Args:
        functions: In the order in which they are offered.
    """

    def __init__(self, functions: Iterable[Callable[..., Words]]) -> None:
        self._by_name = {one.name: one for one in map(Tool, functions)}

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Tool:
        """Return a tool by its name.

        Raises:
            NotFound: There is none.
        """
        if name in self._by_name:
            return self._by_name[name]
        raise NotFound(f"there is no tool {name}", hint=_like(name, self.names) or f"there are {', '.join(self.names)}")

    @property
    def names(self) -> list[str]:
        """What can be called."""
        return list(self._by_name)

    def openai(self, *, strict: bool = True) -> list[Schema]:
        """Return the definitions as OpenAI's chat completions take them.

        Args:
            strict: The model cannot but keep to them. Then it gives every argument, null for those that it leaves out,
                and no object has members beside those that are named.
        """
        return [{"type": "function", "function": _openai(one, strict)} for one in self]

    def anthropic(self) -> list[Schema]:
        """Return the definitions as Anthropic's messages take them."""
        return [{"name": one.name, "description": one.description, "input_schema": one.schema} for one in self]

    def call(self, name: str, arguments: Mapping[str, Any] | str = MappingProxyType({})) -> Words:
        """Call a tool as a model asks for it; what is wrong is an answer, too.

        Args:
            arguments: By name, or the text of a JSON object.
        """
        try:
            found = self[name]
            return found.function(**found.check(_object(arguments)))
        except TasktrailError as error:
            return refusal(error)
        except (UnicodeEncodeError, RecursionError) as error:  # half a character, or lists in lists without end
            return refusal(BadInput(f"{name} cannot take such arguments: {error}"))


def answering(
    told: Callable[[TasktrailError], Words] | None = None,
) -> Callable[[Callable[_P, Words]], Callable[_P, Words]]:
    """Let a function answer with an error instead of raising it.

    Args:
        told: Returns an error as an answer; None is `refusal`.
    """

    def decorate(function: Callable[_P, Words]) -> Callable[_P, Words]:
        @wraps(function)
        def answer(*args: _P.args, **named: _P.kwargs) -> Words:
            try:
                return function(*args, **named)
            except TasktrailError as error:
                return (told or refusal)(error)

        return answer

    return decorate


def check_limit(limit: int, most: int) -> None:
    """Refuse what no page is as long as.

    Raises:
        BadInput: It is below 1, or above the most.
    """
    if not 1 <= limit <= most:
        raise BadInput(f"expected limit to be 1 to {most}, got: {limit!r}")


def refusal(error: TasktrailError, message: str | None = None) -> Words:
    """Return an error as an answer.

    Args:
        message: Its sentence; None is the error's own, and its details.
    """
    sentence = "; ".join([error.message, *error.details]) if message is None else message
    words: Words = {"status": "error", "message": sentence, "code": error.code}
    if error.details:
        words["errors"] = list(error.details)
    if error.hint:
        words["hint"] = error.hint
    return words


# ---------------------------------------------------------------------------------------------------------- definitions


@cache
def _model(function: Callable[..., Words]) -> type[BaseModel]:
    """Return what checks the arguments of a function. Built at first use: most programs never ask for it."""
    from pydantic import ConfigDict, create_model

    hints = get_type_hints(function, include_extras=True)
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    fields: dict[str, Any] = {
        one.name: (hints[one.name], ... if one.default is one.empty else one.default) for one in parameters
    }
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


@cache
def _schema(function: Callable[..., Words]) -> Schema:
    made = _model(function).model_json_schema()
    said = {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(_section(function, "Args"))}
    properties = {name: _told(one, said.get(name)) for name, one in made.get("properties", {}).items()}
    return {
        "type": "object",
        "properties": properties,
        "required": made.get("required", []),
        "additionalProperties": False,
    }


def _told(made: Schema, description: str | None) -> Schema:
    """What was made of an annotation, without what models need not read."""
    kinds = [one for one in made.get("anyOf", ()) if one != {"type": "null"}]
    made = {**made, **kinds[0]} if len(kinds) == 1 else made  # null is as if it were not given
    kept = {name: value for name, value in made.items() if name not in ("title", "default", "anyOf")}
    return {**kept, "description": description} if description else kept


def _section(function: Callable[..., Words], name: str) -> str:
    return f"\n{inspect.getdoc(function) or ''}\n\n".partition(f"\n{name}:\n")[2].partition("\n\n")[0]


def _openai(one: Tool, strict: bool) -> Schema:
    parameters = _closed(one.schema) if strict else one.schema
    return {"name": one.name, "description": one.description, "strict": strict, "parameters": parameters}


def _closed(schema: Schema) -> Schema:
    """Return a schema as strict mode takes it: every member is given, and there is no other."""
    if "items" in schema:
        return {**schema, "items": _closed(schema["items"])}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_closed(one) for one in schema["anyOf"]]}
    if schema.get("type") != "object":
        return schema
    needed = schema.get("required", ())
    members = {name: _closed(one) for name, one in schema.get("properties", {}).items()}
    members = {name: one if name in needed else _nullable(one) for name, one in members.items()}
    return {**schema, "properties": members, "required": list(members), "additionalProperties": False}


def _nullable(schema: Schema) -> Schema:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*kinds, "null"], **enum}


# ---------------------------------------------------------------------------------------------------------------- calls


def _object(arguments: Mapping[str, Any] | str) -> Mapping[str, Any]:
    found: object = arguments
    if isinstance(arguments, str):
        try:
            found = json.loads(arguments)
        except ValueError as error:
            raise BadInput(f"expected the arguments to be a JSON object: {error}") from None
    if not isinstance(found, Mapping):
        raise BadInput(f"expected the arguments to be an object, got: {shown(found)}")
    return found


def _given(value: Any, schema: Schema) -> Any:
    """Return a value without the nulls by which a model leaves out what need not be given."""
    if isinstance(value, Mapping):
        members, needed = schema.get("properties", {}), schema.get("required", ())
        kept = ((name, one) for name, one in value.items() if one is not None or name in needed or name not in members)
        return {name: _given(one, members.get(name, {})) for name, one in kept}
    if isinstance(value, list) and "items" in schema:
        return [_given(one, schema["items"]) for one in value]
    return value


def _fault(found: ErrorDetails, called: Tool) -> str:
    place = dotted(found["loc"])
    if found["type"] == "missing":
        return f"{called.name} needs {place}"
    if found["type"] == "extra_forbidden":
        like = _like(place, called.schema["properties"])
        return f"{called.name} has no argument {place}{f'; {like}' if like else ''}"
    kind = _KINDS.get(found["type"]) or found["msg"].removeprefix("Input should be ")
    return f"expected {place} to be {kind}, got: {shown(found['input'])}"


def _like(word: str, words: Iterable[str]) -> str | None:
    close: Sequence[str] = get_close_matches(word, list(words), n=1)
    return f"did you mean {close[0]}?" if close else None
