"""Workspaces and what is set for them: members, keys, links, limits, alerts."""

from __future__ import annotations

from typing_extensions import Unpack

from .._call import Call, CallOptions, path
from ..types import (
    Alerts,
    AlertsRequest,
    ApiKey,
    ApiKeyRequest,
    Balance,
    BalanceQuery,
    Deliveries,
    Limits,
    LimitsRequest,
    MailEvents,
    MailEventsResult,
    MailTest,
    Member,
    MemberChanges,
    MemberRequest,
    MutedTopics,
    PageQuery,
    PortalSession,
    PortalSessionRequest,
    PortalSessionsQuery,
    Workspace,
    WorkspaceChanges,
    WorkspaceRequest,
    WorkspacesQuery,
)
from .sender import AsyncPages, AsyncSender


class AsyncWorkspaces:
    """Workspaces: the tenants, each with one pool of credit."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(self, request: WorkspaceRequest, **options: Unpack[CallOptions]) -> Workspace:
        """Creates a workspace with no credit."""
        call = Call[Workspace]("POST", "/v1/workspaces", body=request, is_repeatable=False)
        return await self._sender.send(call, options)

    def list(self, query: WorkspacesQuery | None = None, **options: Unpack[CallOptions]) -> AsyncPages[Workspace]:
        """Lists workspaces, newest first."""
        return AsyncPages(self._sender, "/v1/workspaces", query, options)

    async def get(self, workspace: str, **options: Unpack[CallOptions]) -> Workspace:
        """Returns a workspace."""
        call = Call[Workspace]("GET", path("/v1/workspaces/{}", workspace))
        return await self._sender.send(call, options)

    async def update(self, workspace: str, request: WorkspaceChanges, **options: Unpack[CallOptions]) -> Workspace:
        """Changes the fields that are given."""
        call = Call[Workspace]("PATCH", path("/v1/workspaces/{}", workspace), body=request)
        return await self._sender.send(call, options)

    async def balance(
        self, workspace: str, query: BalanceQuery | None = None, **options: Unpack[CallOptions]
    ) -> Balance:
        """Returns the balance, now or at a past instant."""
        call = Call[Balance]("GET", path("/v1/workspaces/{}/balance", workspace), query)
        return await self._sender.send(call, options)


class AsyncMembers:
    """Members: the people of a workspace."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(self, workspace: str, request: MemberRequest, **options: Unpack[CallOptions]) -> Member:
        """Adds a member."""
        call = Call[Member]("POST", path("/v1/workspaces/{}/members", workspace), body=request, is_repeatable=False)
        return await self._sender.send(call, options)

    def list(
        self, workspace: str, query: PageQuery | None = None, **options: Unpack[CallOptions]
    ) -> AsyncPages[Member]:
        """Lists the members."""
        return AsyncPages(self._sender, path("/v1/workspaces/{}/members", workspace), query, options)

    async def get(self, workspace: str, member: str, **options: Unpack[CallOptions]) -> Member:
        """Returns a member."""
        call = Call[Member]("GET", path("/v1/workspaces/{}/members/{}", workspace, member))
        return await self._sender.send(call, options)

    async def update(
        self, workspace: str, member: str, request: MemberChanges, **options: Unpack[CallOptions]
    ) -> Member:
        """Changes the fields that are given."""
        call = Call[Member]("PATCH", path("/v1/workspaces/{}/members/{}", workspace, member), body=request)
        return await self._sender.send(call, options)

    async def delete(self, workspace: str, member: str, **options: Unpack[CallOptions]) -> None:
        """Removes a member."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/members/{}", workspace, member))
        await self._sender.send(call, options)

    async def delete_personal_data(self, workspace: str, member: str, **options: Unpack[CallOptions]) -> None:
        """Erases the name and the address of a removed member."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/members/{}/personal-data", workspace, member))
        await self._sender.send(call, options)


class AsyncApiKeys:
    """API keys of a workspace."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(self, workspace: str, request: ApiKeyRequest, **options: Unpack[CallOptions]) -> ApiKey:
        """Makes a key. Only this answer has its `secret`."""
        call = Call[ApiKey]("POST", path("/v1/workspaces/{}/api-keys", workspace), body=request, is_repeatable=False)
        return await self._sender.send(call, options)

    def list(
        self, workspace: str, query: PageQuery | None = None, **options: Unpack[CallOptions]
    ) -> AsyncPages[ApiKey]:
        """Lists the keys, without their secrets."""
        return AsyncPages(self._sender, path("/v1/workspaces/{}/api-keys", workspace), query, options)

    async def delete(self, workspace: str, api_key: str, **options: Unpack[CallOptions]) -> None:
        """Revokes a key."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/api-keys/{}", workspace, api_key))
        await self._sender.send(call, options)


class AsyncPortalSessions:
    """Links that sign members in to the dashboard."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(
        self, workspace: str, request: PortalSessionRequest, **options: Unpack[CallOptions]
    ) -> PortalSession:
        """Makes a link that works once and for ten minutes."""
        call = Call[PortalSession](
            "POST", path("/v1/workspaces/{}/portal-sessions", workspace), body=request, is_repeatable=False
        )
        return await self._sender.send(call, options)

    async def delete(
        self, workspace: str, query: PortalSessionsQuery | None = None, **options: Unpack[CallOptions]
    ) -> None:
        """Signs out a member, or all."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/portal-sessions", workspace), query)
        await self._sender.send(call, options)


class AsyncLimitSettings:
    """Spending limits of a workspace."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self, workspace: str, **options: Unpack[CallOptions]) -> Limits:
        """Returns the limits and what is left of them."""
        call = Call[Limits]("GET", path("/v1/workspaces/{}/limits", workspace))
        return await self._sender.send(call, options)

    async def set(self, workspace: str, request: LimitsRequest, **options: Unpack[CallOptions]) -> Limits:
        """Replaces all limits."""
        call = Call[Limits]("PUT", path("/v1/workspaces/{}/limits", workspace), body=request)
        return await self._sender.send(call, options)


class AsyncAlertSettings:
    """Thresholds, and who gets mails about them."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self, workspace: str, **options: Unpack[CallOptions]) -> Alerts:
        """Returns thresholds and recipients."""
        call = Call[Alerts]("GET", path("/v1/workspaces/{}/alerts", workspace))
        return await self._sender.send(call, options)

    async def set(self, workspace: str, request: AlertsRequest, **options: Unpack[CallOptions]) -> Alerts:
        """Replaces what is given."""
        call = Call[Alerts]("PUT", path("/v1/workspaces/{}/alerts", workspace), body=request)
        return await self._sender.send(call, options)

    async def mute(
        self, workspace: str, recipient: str, request: MutedTopics, **options: Unpack[CallOptions]
    ) -> Alerts:
        """Sets the topics that a recipient does not get."""
        call = Call[Alerts]("PUT", path("/v1/workspaces/{}/alerts/recipients/{}", workspace, recipient), body=request)
        return await self._sender.send(call, options)

    async def test(self, workspace: str, **options: Unpack[CallOptions]) -> MailTest:
        """Sends a mail to all recipients."""
        call = Call[MailTest]("POST", path("/v1/workspaces/{}/alerts/test", workspace), is_repeatable=False)
        return await self._sender.send(call, options)

    async def mail_deliveries(self, **options: Unpack[CallOptions]) -> Deliveries:
        """Returns the newest attempts to send mails."""
        call = Call[Deliveries]("GET", "/v1/mail-deliveries")
        return await self._sender.send(call, options)

    async def mail_events(self, request: MailEvents, **options: Unpack[CallOptions]) -> MailEventsResult:
        """Takes bounces and complaints from the mail relay."""
        call = Call[MailEventsResult]("POST", "/v1/mail-events", body=request, is_repeatable=False)
        return await self._sender.send(call, options)
