"""What the official conformance suite asks of a server under test: tools, resources and prompts with fixed answers.

`tasktrail mcp --conformance-fixtures` serves them beside our own, so that what the suite judges is the server that
agents talk to. Without that option nothing here is imported.

Source: the scenarios of @modelcontextprotocol/conformance 0.2.0-alpha.12, whose descriptions say what each name does.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import mcp_types as types
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import PromptsListChanged, ServerEvent, SubscriptionBus, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from pydantic import BaseModel

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[HandlerResult]]
JsonSchema = Mapping[str, Any]

# ------------------------------------------------------------------------------------------------ beside a server's own


def add_to(server: Server[Any], bus: SubscriptionBus) -> None:
    """Serve the fixtures beside what a server serves, whose handlers answer for all other names as before.

    Args:
        server: It has tools, resources, templates and prompts, and is not serving yet.
        bus: Where its streams of `subscriptions/listen` hear from.
    """
    _lengthen(server, "tools/list", "tools", _tools())
    _lengthen(server, "resources/list", "resources", _RESOURCES)
    _lengthen(server, "resources/templates/list", "resource_templates", [_TEMPLATE])
    _lengthen(server, "prompts/list", "prompts", _PROMPTS)
    _precede(server, "tools/call", types.CallToolRequestParams, partial(_call, bus))
    _precede(server, "resources/read", types.ReadResourceRequestParams, _read)
    _precede(server, "resources/subscribe", types.SubscribeRequestParams, _accept_uri)
    _precede(server, "resources/unsubscribe", types.UnsubscribeRequestParams, _accept_uri)
    _precede(server, "prompts/get", types.GetPromptRequestParams, _prompt)
    _precede(server, "completion/complete", types.CompleteRequestParams, _complete)
    _precede(server, "logging/setLevel", types.SetLevelRequestParams, _accept_level)
    if (schema_of := server.get_tool_input_schema) is not None:
        server.get_tool_input_schema = lambda name: _SCHEMAS.get(name) or schema_of(name)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name))


def _lengthen(server: Server[Any], method: str, field: str, items: Sequence[BaseModel]) -> None:
    """Let a list go on with our items after the last page of the server's own."""
    entry = server.get_request_handler(method)
    assert entry is not None, f"the server does not answer {method}"

    async def listed(ctx: Context, params: types.PaginatedRequestParams) -> HandlerResult:
        page = await entry.handler(ctx, params)
        assert isinstance(page, types.PaginatedResult)
        if page.next_cursor is not None:
            return page
        return page.model_copy(update={field: [*getattr(page, field), *items]})

    server.add_request_handler(method, types.PaginatedRequestParams, listed)


def _precede(server: Server[Any], method: str, params_type: type[BaseModel], own: Handler) -> None:
    """Let a method ask us first, and the server's own handler where we answer None."""
    entry = server.get_request_handler(method)

    async def answer(ctx: Context, params: BaseModel) -> HandlerResult:
        found = await own(ctx, params)
        if found is None and entry is not None:
            return await entry.handler(ctx, params)
        return found

    server.add_request_handler(method, params_type, answer)


# ----------------------------------------------------------------------------------------------------------- contents

_PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""One red pixel."""
_WAV: Final = "UklGRiUAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQEAAACA"
"""One silent sample."""
_IMAGE: Final = types.ImageContent(data=_PNG, mime_type="image/png")
_AUDIO: Final = types.AudioContent(data=_WAV, mime_type="audio/wav")


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(text)])


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def _object(*required: str, **properties: JsonSchema) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _form(message: str, **properties: JsonSchema) -> types.ElicitRequest:
    schema = _object(*properties, **properties)
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> types.CreateMessageRequest:
    messages = [types.SamplingMessage(role="user", content=_text(text))]
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=messages, max_tokens=100))


# -------------------------------------------------------------------------------------------------------------- tools

_STRING: Final = {"type": "string"}
_FIXED: Final[Mapping[str, types.CallToolResult]] = {
    "test_simple_text": _said("This is a simple text response for testing."),
    "test_image_content": types.CallToolResult(content=[_IMAGE]),
    "test_audio_content": types.CallToolResult(content=[_AUDIO]),
    "test_embedded_resource": types.CallToolResult(
        content=[_embedded("test://embedded-resource", "This is an embedded resource content.")]
    ),
    "test_multiple_content_types": types.CallToolResult(
        content=[
            _text("Multiple content types test:"),
            _IMAGE,
            _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ]
    ),
    "test_error_handling": types.CallToolResult(
        content=[_text("This tool intentionally returns an error for testing")], is_error=True
    ),
    "test_custom_header": _said("The header says what the argument says."),
    "json_schema_2020_12_tool": _said("Its schema is what matters."),
}

_CHOICES: Final = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second"), 1)]
_OPTIONS: Final = ["option1", "option2", "option3"]
_FORMS: Final[Mapping[str, JsonSchema]] = {
    "test_elicitation": _object("username", "email", username=_STRING, email=_STRING),
    "test_elicitation_sep1034_defaults": _object(
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    ),
    "test_elicitation_sep1330_enums": _object(
        untitledSingle={"type": "string", "enum": _OPTIONS},
        titledSingle={"type": "string", "oneOf": _CHOICES},
        legacyEnum={"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        titledMulti={"type": "array", "items": {"anyOf": _CHOICES}},
    ),
}
"""Forms that a tool has its client fill in while it runs, as clients before 2026-07-28 do."""

_NAME: Final[types.InputRequests] = {"user_name": _form("What is your name?", name=_STRING)}
_CONFIRM: Final[types.InputRequests] = {"confirm": _form("Please confirm", ok={"type": "boolean"})}
_CAPITAL: Final[types.InputRequests] = {"capital_question": _sample("What is the capital of France?")}
_ROOTS: Final[types.InputRequests] = {"client_roots": types.ListRootsRequest(params=types.RequestParams())}
_ASKING: Final[Mapping[str, tuple[types.InputRequests, str | None]]] = {
    "test_missing_capability": (_CAPITAL, None),
    "test_streaming_elicitation": (_NAME, None),
    "test_input_required_result_elicitation": (_NAME, None),
    "test_input_required_result_sampling": (_CAPITAL, None),
    "test_input_required_result_list_roots": (_ROOTS, None),
    "test_input_required_result_request_state": (_CONFIRM, "state-ok"),
    "test_input_required_result_tampered_state": (_CONFIRM, "state-ok"),
    "test_input_required_result_multiple_inputs": ({**_NAME, **_CAPITAL, **_ROOTS}, "state-ok"),
    "test_input_required_result_capabilities": ({**_NAME, **_CAPITAL}, None),
}
"""What a tool asks of its client before it answers, and the state it wants back with the answers."""

_EVENTS: Final[Mapping[str, ServerEvent]] = {
    "test_trigger_tool_change": ToolsListChanged(),
    "test_trigger_prompt_change": PromptsListChanged(),
}

_SCHEMAS: Final[Mapping[str, JsonSchema]] = {
    "test_sampling": _object("prompt", prompt=_STRING),
    "test_elicitation": _object("message", message=_STRING),
    "test_custom_header": _object("region", region={"type": "string", "x-mcp-header": "Region"}),
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"city": _STRING}}},
        "properties": {
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": _STRING,
            "email": _STRING,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}


def _tools() -> list[types.Tool]:
    names = (*_FIXED, *_FORMS, *_ASKING, *_EVENTS, *_DOING)
    about = "A fixture of the conformance suite."
    return [
        types.Tool(name=name, description=about, input_schema=dict(_SCHEMAS.get(name, _object()))) for name in names
    ]


async def _call(bus: SubscriptionBus, ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
    """Answer a call, or None for a tool that is not ours."""
    if params.name in _FORMS:
        return await _have_filled_in(ctx, params)
    if params.name in _ASKING:
        return _asked(ctx, params, *_ASKING[params.name]) or _said(f"{params.request_state}: {_answers(params)}")
    if params.name in _EVENTS:
        await bus.publish(_EVENTS[params.name])
        return _said("published")
    if params.name in _DOING:
        return await _DOING[params.name](ctx, params)
    return _FIXED.get(params.name)


async def _have_filled_in(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    message = str((params.arguments or {}).get("message", "Please fill this in"))
    filled = await ctx.session.elicit_form(message, dict(_FORMS[params.name]), related_request_id=ctx.request_id)
    return _said(f"Elicitation completed: action={filled.action}, content={json.dumps(filled.content)}")


async def _have_sampled(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    request = _sample(str((params.arguments or {}).get("prompt", "")))
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    sampled = await ctx.session.send_request(request, types.CreateMessageResult, metadata=metadata)
    return _said(f"LLM response: {sampled.content.model_dump_json(by_alias=True)}")


async def _log(ctx: Context, _params: types.CallToolRequestParams) -> types.CallToolResult:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        with warnings.catch_warnings(action="ignore", category=MCPDeprecationWarning):
            sending = ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
        await sending
    return _said("logged")


async def _progress(ctx: Context, _params: types.CallToolRequestParams) -> types.CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
    return _said("progressed")


async def _ask_twice(_ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
    """Ask for a name, then for a colour; the state says which of them was asked for."""
    answered = params.input_responses or {}
    if params.request_state == "2" and "step2" in answered:
        return _said(_answers(params))
    if params.request_state == "1" and "step1" in answered:
        colour: types.InputRequests = {"step2": _form("Step 2: What is your favorite color?", color=_STRING)}
        return types.InputRequiredResult(input_requests=colour, request_state="2")
    name: types.InputRequests = {"step1": _form("Step 1: What is your name?", name=_STRING)}
    return types.InputRequiredResult(input_requests=name, request_state="1")


_DOING: Final[Mapping[str, Handler]] = {
    "test_tool_with_logging": _log,
    "test_logging_tool": _log,
    "test_tool_with_progress": _progress,
    "test_sampling": _have_sampled,
    "test_input_required_result_multi_round": _ask_twice,
}


# ------------------------------------------------------------------------------------------ what is asked of a client

_NEEDS: Final = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def _asked(
    ctx: Context, params: types.InputResponseRequestParams, requests: types.InputRequests, state: str | None
) -> types.InputRequiredResult | None:
    """Ask what the client can answer, until all of it is answered and the state came back.

    Raises:
        MCPError: The client can answer nothing of it.
    """
    can = ctx.session.client_capabilities or types.ClientCapabilities()
    fitting = {key: request for key, request in requests.items() if getattr(can, _NEEDS[request.method]) is not None}
    if not fitting:
        needed: dict[str, Any] = {_NEEDS[request.method]: {} for request in requests.values()}
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY, "the client lacks a capability", {"requiredCapabilities": needed}
        )
    if fitting.keys() <= (params.input_responses or {}).keys() and params.request_state == state:
        return None
    return types.InputRequiredResult(input_requests=fitting, request_state=state)


def _answers(params: types.InputResponseRequestParams) -> str:
    answers = {key: answer.model_dump(mode="json") for key, answer in (params.input_responses or {}).items()}
    return json.dumps(answers)


# ------------------------------------------------------------------------------------------ resources and completion

_RESOURCES: Final = [
    types.Resource(uri="test://static-text", name="static-text", mime_type="text/plain"),
    types.Resource(uri="test://static-binary", name="static-binary", mime_type="image/png"),
    types.Resource(uri="test://watched-resource", name="watched-resource", mime_type="text/plain"),
]
_TEMPLATE: Final = types.ResourceTemplate(
    uri_template="test://template/{id}/data", name="template", mime_type="application/json"
)


async def _read(_ctx: Context, params: types.ReadResourceRequestParams) -> HandlerResult:
    contents = _contents(params.uri)
    return None if contents is None else types.ReadResourceResult(contents=[contents])


def _contents(uri: str) -> types.TextResourceContents | types.BlobResourceContents | None:
    if uri == "test://static-binary":
        return types.BlobResourceContents(uri=uri, mime_type="image/png", blob=_PNG)
    if uri in ("test://static-text", "test://watched-resource"):
        text = "This is the content of the static text resource."
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        data = {"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"}
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(data))
    return None


async def _accept_uri(
    _ctx: Context, params: types.SubscribeRequestParams | types.UnsubscribeRequestParams
) -> HandlerResult:
    return types.EmptyResult() if _contents(params.uri) is not None else None


async def _accept_level(_ctx: Context, _params: types.SetLevelRequestParams) -> HandlerResult:
    return types.EmptyResult()


async def _complete(_ctx: Context, params: types.CompleteRequestParams) -> HandlerResult:
    """Complete an argument of our prompts to the word `testing`."""
    if not isinstance(params.ref, types.PromptReference) or params.ref.name not in {item.name for item in _PROMPTS}:
        return None
    values = ["testing"] if "testing".startswith(params.argument.value) else []
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


# ------------------------------------------------------------------------------------------------------------ prompts

_PROMPTS: Final = [
    types.Prompt(
        name=name,
        description="A fixture of the conformance suite.",
        arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
    )
    for name, arguments in {
        "test_simple_prompt": (),
        "test_prompt_with_arguments": ("arg1", "arg2"),
        "test_prompt_with_embedded_resource": ("resourceUri",),
        "test_prompt_with_image": (),
        "test_input_required_result_prompt": (),
    }.items()
]


async def _prompt(ctx: Context, params: types.GetPromptRequestParams) -> HandlerResult:
    """Answer with a prompt, or None for one that is not ours."""
    if params.name == "test_input_required_result_prompt":
        context: types.InputRequests = {"user_context": _form("What context should the prompt use?", context=_STRING)}
        return _asked(ctx, params, context, None) or _messages(_text(_answers(params)))
    contents = _prompted(params.name, params.arguments or {})
    return _messages(*contents) if contents else None


def _prompted(name: str, arguments: Mapping[str, str]) -> list[types.ContentBlock]:
    if name == "test_simple_prompt":
        return [_text("This is a simple prompt for testing.")]
    if name == "test_prompt_with_arguments":
        return [_text(f"Prompt with arguments: arg1={arguments.get('arg1')!r}, arg2={arguments.get('arg2')!r}")]
    if name == "test_prompt_with_embedded_resource":
        resource = _embedded(arguments.get("resourceUri", ""), "Embedded resource content for testing.")
        return [resource, _text("Please process the embedded resource above.")]
    if name == "test_prompt_with_image":
        return [_IMAGE, _text("Please analyze the image above.")]
    return []


def _messages(*contents: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content) for content in contents])
