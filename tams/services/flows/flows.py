"""Reading Flows, and the checks that a request for a Flow begins with."""

from __future__ import annotations

from tams.domain.access import Access, Permission, document_classes
from tams.domain.errors import Forbidden, NotFound
from tams.domain.filters import FlowFilter, FlowOrder
from tams.domain.flows import Flow
from tams.domain.principals import Principal
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Page, Read
from tams.services.access.authorization import require
from tams.services.access.visibility import VisibleRead
from tams.services.store import Store


def get(store: Store, flow_id: str, principal: Principal) -> Flow:
    """Return the Flow. Raise `NotFound` or `Forbidden`."""
    return store.ask(principal, lambda read: existing(read, flow_id))


def get_with_timerange(
    store: Store, flow_id: str, within: TimeRange | None, principal: Principal
) -> tuple[Flow, TimeRange | None]:
    """Return the Flow and the extent of its Segments that overlap `within`, or of all of them if that is None.

    The extent runs from the start of the first Segment to the end of the last one; it is None if there are none.
    Raise `NotFound` or `Forbidden`.
    """
    if within is None:
        flow = get(store, flow_id, principal)
        return flow, flow.extent
    with store.visible_to(principal) as read:
        flow = existing(read, flow_id)
        return flow, read.extent(flow.flow_key, within)


def list_flows(
    store: Store,
    *,
    where: FlowFilter,
    order: FlowOrder,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    principal: Principal,
) -> Page[Flow]:
    """Return a page of the Flows that match `where`, in the given order, `reverse` turning it round."""
    with store.visible_to(principal) as read:
        return read.list_flows(where, order=order, reverse=reverse, after=after, limit=limit)


def writable(read: Read, flow_id: str, access: Access, permission: Permission = "write") -> Flow:
    """Read the Flow and return it.

    Raises:
        NotFound: the Flow does not exist, or `access` has no permission on it at all.
        Forbidden: `access` lacks the permission, or the Flow is read-only.
    """
    flow = existing(read, flow_id)
    refuse_unwritable(flow, access, permission)
    return flow


def refuse_unwritable(flow: Flow, access: Access, permission: Permission = "write") -> None:
    """Raise `NotFound` or `Forbidden` as `writable` does for a Flow that was read already."""
    refuse_unpermitted(flow, access, permission)
    refuse_read_only(flow)


def refuse_unpermitted(flow: Flow, access: Access, permission: Permission) -> None:
    """Raise `NotFound` or `Forbidden` if `access` lacks the permission on the Flow, be it read-only or not."""
    if access.is_limited:
        require(access, permission, document_classes(flow.metadata), f"Flow {flow.id}", unknown(flow.id))


def refuse_read_only(flow: Flow) -> None:
    """Raise `Forbidden` if the Flow is read-only."""
    if flow.metadata.get("read_only", False):
        raise Forbidden(f"Flow {flow.id} is read-only; PUT /flows/{flow.id}/read_only lifts it")


def existing(read: VisibleRead, flow_id: str) -> Flow:
    """Read the Flow and return it. Raise `NotFound` if it does not exist."""
    flow = read.flow(flow_id)
    if flow is None:
        raise unknown(flow_id)
    return flow


def unknown(flow_id: str) -> NotFound:
    """Return the error for a Flow that does not exist, or whose existence the caller may not know of."""
    return NotFound(f"there is no Flow {flow_id}")


def check_exists(store: Store, flow_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Flow exists, `Forbidden` if it may not be read."""
    get(store, flow_id, principal)


def check_writable(store: Store, flow_id: str, principal: Principal) -> None:
    """Raise `NotFound`, or `Forbidden` if the Flow may not be changed or is read-only.

    This and the checks below are made before a request's body is read.
    """
    store.repository.ask(lambda read: writable(read, flow_id, store.access(principal)))


def check_deletable(store: Store, flow_id: str, principal: Principal) -> None:
    """Raise `NotFound`, or `Forbidden` if nothing may be deleted from the Flow or it is read-only."""
    store.repository.ask(lambda read: writable(read, flow_id, store.access(principal), "delete"))


def check_settable(store: Store, flow_id: str, principal: Principal) -> None:
    """Raise `NotFound`, or `Forbidden` if the Flow may not be changed. It may be read-only."""
    flow = store.repository.ask(lambda read: existing(read, flow_id))
    refuse_unpermitted(flow, store.access(principal), "write")


def check_replaceable(store: Store, flow_id: str, principal: Principal) -> None:
    """Raise `Forbidden` if the Flow exists and may not be changed or is read-only, `NotFound` if it exists and the
    principal may not know of it."""
    flow = store.repository.ask(lambda read: read.flow(flow_id))
    if flow is not None:
        refuse_unwritable(flow, store.access(principal))
