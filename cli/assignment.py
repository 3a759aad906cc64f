"""Who of a plan is an order's, and which job of the workflow takes whom: a few first and alone, then all others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.connection import Connection
from cli.errors import WrongInput
from cli.orders import Order, Task
from cli.planning import Lines
from deployment.errors import DeployError
from deployment.plans import Action, CellPlan, Plan
from deployment.portions import Portion, divided

if TYPE_CHECKING:
    from tenants.model import Tenant

__all__ = ["Assignment", "assigned"]

STATES = {Task.SUSPEND: ("suspended", Action.SUSPEND), Task.RESUME: ("active", Action.RESUME)}
OFFBOARDING = "offboarding"
LONGEST = 100_000
"""Bytes of what one job hands to others; a process takes 128 KiB of it as one variable."""


@dataclass(frozen=True)
class Assignment:
    """`first` are taken one after another, each cell's platform with them; `portions` beside one another, after them.

    `remarks` say of tenants that were named why nothing is done for them.
    """

    first: tuple[Portion, ...] = ()
    portions: tuple[Portion, ...] = ()
    remarks: tuple[str, ...] = ()

    def check_size(self) -> None:
        size = sum(len(each.tenants) + sum(map(len, each.tenants)) for each in (*self.first, *self.portions))
        if size > LONGEST:
            raise DeployError(
                f"the ids of these tenants are {size:,} characters, and one workflow run takes {LONGEST:,}: name some"
            )


def assigned(order: Order, connections: Sequence[Connection], plan: Plan) -> Assignment:
    """What the jobs of an order do, by its plan. Raises WrongInput if a named tenant is not to be treated so."""
    cells = list(zip(connections, plan.cells, strict=True))
    if order.task is Task.PLAN:
        return Assignment()
    if order.task is Task.OFFBOARD:
        return ending(order, cells)
    first: list[Portion] = []
    rest: dict[str, list[str]] = {}
    done: set[str] = set()
    for connection, cell in cells:
        if order.tenants and not any(each.id in order.tenants for each in connection.tenants):
            continue  # a deploy of these leaves the cell as it is, its platform too
        place, due = place_of(connection), due_in(order, cell)
        begun = first_of(order, connection, cell, due)
        if begun or platform_changes(order, cell):
            first.append(Portion(f"first-{len(first) + 1}", place, begun))
        rest[place] = [each for each in due if each not in begun]
        done.update(due)
    made = Assignment(tuple(first), divided(rest), tuple(passed_over(order, cells, done)))
    made.check_size()
    return made


def place_of(connection: Connection) -> str:
    """Where an environment has several cells, its own name would mean all of them."""
    environment = connection.environment
    several = len(connection.registry.cells(environment.name)) > 1
    return f"{environment.name}/{environment.cell_name}" if several else environment.name


def due_in(order: Order, cell: CellPlan) -> list[str]:
    """The tenants of a cell for which the order is meant, and something is to be done."""
    wanted = {STATES[order.task][1]} if order.task in STATES else set(Action)
    return [change.tenant for change in cell.pending if change.tenant is not None and change.action in wanted]


def platform_changes(order: Order, cell: CellPlan) -> bool:
    """Of a deploy; who is suspended or resumed brings the platform along with it, and nobody else does."""
    return order.task is Task.DEPLOY and any(change.tenant is None for change in cell.pending)


def first_of(order: Order, connection: Connection, cell: CellPlan, due: Sequence[str]) -> tuple[str, ...]:
    """As a deploy begins: the tenant of the driven file, if its way changes, and one of those that change.

    Where only the platform changes it is any tenant that is meant, since a deploy goes by tenants.
    """
    meant = [each.id for each in connection.tenants if not order.tenants or each.id in order.tenants]
    canary, platform = connection.environment.canary, platform_changes(order, cell)
    found = [canary] if canary in meant and (platform or canary in due) else []
    found += [each for each in due if each != canary][:1]
    return tuple(str(each) for each in found or (meant[:1] if platform else ()))


def passed_over(order: Order, cells: Sequence[tuple[Connection, CellPlan]], due: set[str]) -> Iterator[str]:
    """Why nothing is done for some of the tenants that are named; raises WrongInput if the file says another state."""
    lines = Lines(cells[0][0].folder)
    for name in order.tenants:
        tenant = cells[0][0].tenant(name)
        if name in due:
            continue
        wanted = STATES.get(order.task)
        if wanted and tenant.state != wanted[0]:
            raise WrongInput(unlike(order, tenant, wanted[0], lines.of(name)))
        yield f"tenant {name}: {reason(name, cells, order)}"


def unlike(order: Order, tenant: "Tenant", state: str, where: str | None) -> str:
    return (
        f"{where or 'tenants.yaml'}: tenant {tenant.id} is {tenant.state} by the file; to {order.task} it, write "
        f"`state: {state}` there by a pull request, and run the workflow again once that is in main"
    )


def reason(tenant: str, cells: Sequence[tuple[Connection, CellPlan]], order: Order) -> str:
    left = [each.reason for _, cell in cells for each in cell.left if each.tenant == tenant]
    pending = [change.action for _, cell in cells for change in cell.pending if change.tenant == tenant]
    if left:
        return left[0]
    if pending:
        return f"is not to {order.task}, but to {pending[0]}: that is done by action deploy"
    return "nothing to do, it stands as the file says"


def ending(order: Order, cells: Sequence[tuple[Connection, CellPlan]]) -> Assignment:
    """The one tenant whose end is asked for; raises WrongInput if the file or the last deploy does not say so yet."""
    (name,) = order.tenants
    connection = cells[0][0]
    tenant, where = connection.tenant(name), Lines(connection.folder).of(name)
    if tenant.state != OFFBOARDING:
        raise WrongInput(unlike(order, tenant, OFFBOARDING, where))
    if any(change.tenant == name for _, cell in cells for change in cell.pending):
        raise WrongInput(
            f"{where}: tenant {name} is not deployed as offboarding yet: run action deploy for it; its grace period "
            "begins with that"
        )
    own = connection.registry.cell_of(name, order.environment)
    place = next(place_of(each) for each, _ in cells if each.environment == own)
    return Assignment(portions=(Portion("portion-1", place, (name,)),))
