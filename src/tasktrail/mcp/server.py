"""The server put together: tools, resources, prompts and updates of one project, for both eras of the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError

from tasktrail import __version__
from tasktrail.config import load
from tasktrail.engine.project import FolderProject
from tasktrail.engine.scrubbing import scrubber_of
from tasktrail.executions.tools import ExecutionTools
from tasktrail.logs import adopt, logger
from tasktrail.mcp.asking import Context
from tasktrail.mcp.calls import Calls, Limits
from tasktrail.mcp.definitions import definitions
from tasktrail.mcp.guide import INSTRUCTIONS
from tasktrail.mcp.hints import hint_for
from tasktrail.mcp.prompts import PROMPTS, Prompts
from tasktrail.mcp.resources import TEMPLATES, Resources
from tasktrail.mcp.toolsets import Offer
from tasktrail.mcp.updates import Updates
from tasktrail.model.errors import TasktrailError
from tasktrail.model.plain import storable
from tasktrail.plan.tools import PlanTools

__all__ = ["ProjectServer"]

_LONG_MS: Final = 300_000
_HINTS: Final[Mapping[Any, CacheHint]] = {
    "server/discover": CacheHint(_LONG_MS, "public"),
    "tools/list": CacheHint(_LONG_MS, "public"),
    "prompts/list": CacheHint(_LONG_MS, "public"),
    "resources/templates/list": CacheHint(_LONG_MS, "public"),
    "resources/list": CacheHint(),
    "resources/read": CacheHint(),
}
"""What a client may keep, and for how long: definitions are the same for all, answers are stale at once."""

T = TypeVar("T")


class _Server(Server[Any]):
    """Says to clients of the older protocol, over every transport, that it tells of changes of the list."""

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        """Return what the handshake tells."""
        return super().create_initialization_options(NotificationOptions(resources_changed=True))


@dataclass
class ProjectServer:
    """What clients of a project are served with.

    Args:
        has_fixtures: The conformance suite finds what it asks for.

    Raises:
        BadInput: There is no such toolset, or a setting cannot be.
    """

    offer: Offer
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    has_fixtures: bool = False

    def __post_init__(self) -> None:
        adopt("mcp")
        root, settings = self.offer.root, self.offer.settings
        scrub = self._scrub = scrubber_of(load(root, settings))
        project = FolderProject(root, settings)
        self.calls = Calls(self.offer, self.limits, scrub)
        self.updates = Updates(lambda: project.ledger if project.has_store() else None)
        self._resources = Resources(project, scrub)
        plan = PlanTools(root, self.offer.plan_name, settings=settings)
        self._prompts = Prompts(self._resources, plan, ExecutionTools(root, settings), scrub)

    def build(self) -> Server[Any]:
        """Return the server; it reads the log while it runs."""
        server = _Server(
            "tasktrail",
            version=__version__,
            title="Tasktrail",
            description="The durable record of work: plans, matrices, runs and executions of a project.",
            instructions=INSTRUCTIONS,
            cache_hints=_HINTS,
            lifespan=self._lifespan,
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self.calls,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=self.updates.subscribe_resource,
            on_unsubscribe_resource=self.updates.unsubscribe_resource,
            on_subscriptions_listen=self.updates.listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        if self.has_fixtures:
            from tasktrail.mcp.conformance import add_to

            add_to(server, self.updates)
        return server

    @asynccontextmanager
    async def _lifespan(self, _: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.updates.watch)
            try:
                yield {}
            finally:
                group.cancel_scope.cancel()

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        return self.offer.definitions[name].schema if name in self.offer.definitions.names else None

    async def _list_tools(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=definitions(self.offer.definitions))

    async def _list_resources(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        listed, cursor = await self._answered(partial(self._resources.page, params.cursor if params else None))
        return types.ListResourcesResult(resources=listed, next_cursor=cursor)

    async def _list_templates(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(TEMPLATES))

    async def _read_resource(self, _: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        content = await self._answered(partial(self._resources.read, uri), uri=uri)
        return types.ReadResourceResult(contents=[content])

    async def _list_prompts(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=list(PROMPTS))

    async def _get_prompt(self, _: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return await self._answered(partial(self._prompts.get, params.name, params.arguments or {}))

    async def _complete(self, _: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(completion=await self._answered(partial(self._completion, params)))

    async def _answered(self, work: Callable[[], T], **data: object) -> T:
        """Do some work in a thread; what is wrong is the client's to mend, and told with a hint."""
        try:
            with anyio.fail_after(self.limits.timeout_s):
                return await self.calls.in_thread(work)
        except TasktrailError as error:
            hint = hint_for(error.hint, "", self.offer.definitions.names) if error.hint else ""
            words = "; ".join(filter(None, [error.message, *error.details, hint]))
            raise MCPError(types.INVALID_PARAMS, storable(self._scrub(words)), {**data, "code": error.code}) from None
        except TimeoutError:
            words = f"it took longer than {self.limits.timeout_s:g} s"
            raise MCPError(types.INTERNAL_ERROR, words, {**data, "code": "timeout"}) from None
        except Exception as error:  # noqa: BLE001 - a face: what else it says would be told as it is
            logger(__name__).exception("a request failed")
            words = f"it failed inside: {type(error).__name__}; the server's log on stderr has more"
            raise MCPError(types.INTERNAL_ERROR, words, {**data, "code": "internal"}) from None

    def _completion(self, params: types.CompleteRequestParams) -> types.Completion:
        if isinstance(params.ref, types.ResourceTemplateReference):
            template = str(params.ref.uri)
        else:
            template = "run://{ref}" if params.argument.name == "run" else ""
        try:
            values = self._resources.suggest(template, params.argument.value)
        except TasktrailError:  # nothing of the kind is there yet
            values = []
        return types.Completion(values=values, has_more=False)
