"""Serving calls: who may, when, with which parameters, and what comes back."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from pytel.base import clock
from pytel.base.errors import (
    ControlHeld,
    Expired,
    InvalidParams,
    JobLost,
    MethodNotFound,
    NotAllowed,
    NotReady,
    PytelError,
    wrap,
)
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Call, Origin, Role, current_origin
from pytel.module.exclusive import Exclusive
from pytel.module.interface import methods_of
from pytel.module.jobtable import JobTable, RunningJob
from pytel.module.lifecycle import Lifecycle
from pytel.module.rpc import Method, to_builtins


class LeaseKeeper(Protocol):
    """Knows who holds the control lease."""

    def holder(self) -> str | None:
        """The origin that holds it now, None for nobody."""


class Dispatcher:
    """Executes the calls that reach one module."""

    def __init__(
        self,
        module: Any,
        lifecycle: Lifecycle,
        lease: LeaseKeeper,
        describe: Callable[[], Builtin],
        log: logging.Logger,
    ) -> None:
        self._module = module
        self._name = str(lifecycle.address)
        self._lifecycle = lifecycle
        self._lease = lease
        self._log = log
        self._methods = methods_of(type(module))
        self._exclusive = Exclusive(self._name)
        self.jobs = JobTable(self._exclusive, log)
        self._own: dict[str, tuple[Role, Callable[[Call], Coroutine[Any, Any, Builtin]]]] = {
            "rpc.discover": (Role.VIEWER, lambda call: _at_once(describe())),
            "job.status": (Role.VIEWER, self._job_status),
            "job.wait": (Role.VIEWER, self._job_wait),
            "job.cancel": (Role.OBSERVER, self._job_cancel),
            "job.list": (Role.VIEWER, self._job_list),
        }

    async def handle_call(self, call: Call) -> Builtin:
        """Execute a call and return its result as builtins; raises `PytelError`."""
        try:
            return await self._handle(call)
        except PytelError:
            raise
        except Exception as error:
            self._log.exception("%s failed by a fault in the module (call %s)", call.method, call.call_id or "-")
            raise wrap(error) from error

    async def _handle(self, call: Call) -> Builtin:
        self._refuse_late(call)
        call = _believed(call)
        current_origin.set(call.origin)
        if call.method in self._own:
            role, serve = self._own[call.method]
            self._refuse_role(call, role)
            return await serve(call)
        method = self._find(call.method)
        self._refuse_role(call, method.role)
        if method.options.long and (job := self.jobs.known(call)):  # a retry: whatever changed since, it has begun
            return {"job": job.id, "eta": job.eta}
        self._refuse_unready(method)
        self._refuse_without_lease(call, method)
        arguments = method.parse(call.params)
        if method.options.long:
            return self._start_job(method, call, arguments)
        return await self._run_short(method, call, arguments)

    def _find(self, name: str) -> Method:
        if name not in self._methods:
            near = difflib.get_close_matches(name, self._methods, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise MethodNotFound(f"{self._name} has no method {name!r}{hint}")
        return self._methods[name]

    def _refuse_late(self, call: Call) -> None:
        if call.expires is not None and clock.real_time() > call.expires:
            raise Expired(f"the call of {self._name}.{call.method} came after its expiry and was not executed")
        if call.boot is not None and call.boot != self._lifecycle.boot:
            raise JobLost(f"{self._name} has restarted since the first attempt of this call")

    def _refuse_role(self, call: Call, wanted: Role) -> None:
        role = call.origin.role if call.caller.is_proxy else call.caller.role
        if not role.includes(wanted):
            who = call.origin.name if call.caller.is_proxy else call.caller.address
            raise NotAllowed(f"{self._name}.{call.method} asks for the role {wanted.value}; {who} has {role.value}")

    def _refuse_unready(self, method: Method) -> None:
        if not self._lifecycle.serves and not (method.options.always and self._lifecycle.was_ready):
            raise NotReady(f"{self._name} is not ready: {self._lifecycle.explanation}")

    def _refuse_without_lease(self, call: Call, method: Method) -> None:
        holder = self._lease.holder() if method.options.control else None
        if holder is not None and holder != call.origin.name:
            raise ControlHeld(
                f"{self._name}.{method.name} needs the control of the group, which {holder} has", holder=holder
            )

    def _start_job(self, method: Method, call: Call, arguments: Mapping[str, Any]) -> Builtin:
        estimator = getattr(self._module, f"estimate_{method.name}", None)
        estimate: Seconds | None = estimator(**arguments) if estimator else None
        function = getattr(self._module, method.name)
        job = self.jobs.start(method, call, lambda: _as_coroutine(function(**arguments)), estimate)
        return {"job": job.id, "eta": job.eta}

    async def _run_short(self, method: Method, call: Call, arguments: Mapping[str, Any]) -> Builtin:
        taken = await self._exclusive.wait_and_occupy(method, call)
        try:
            return to_builtins(await getattr(self._module, method.name)(**arguments))
        finally:
            self._exclusive.free(taken)

    async def _job_status(self, call: Call) -> Builtin:
        return self._job(_named(call)).report()

    async def _job_wait(self, call: Call) -> Builtin:
        params = _named(call)
        timeout = params.get("timeout", 25.0)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise InvalidParams("job.wait: timeout must be a number of seconds")
        return (await self.jobs.wait(self._job(params).id, timeout)).report()

    async def _job_cancel(self, call: Call) -> Builtin:
        job = self._job(_named(call))
        if not _of_the_same(call, job.call):
            self._refuse_role(call, job.method.role)  # another one's: who may not start it may not end it
            self._refuse_without_lease(call, job.method)
        return (await self.jobs.cancel(job.id)).report()

    async def _job_list(self, call: Call) -> Builtin:
        return [job.report() for job in self.jobs.all()]

    def _job(self, params: Mapping[str, Any]) -> RunningJob:
        job = params.get("job")
        if not isinstance(job, str):
            raise InvalidParams("job: the id of a job is missing")
        return self.jobs.get(job)


def _believed(call: Call) -> Call:
    """Take another one's origin from modules and the gateway only: anybody else speaks for himself."""
    if call.caller.is_proxy or call.caller.role.includes(Role.MODULE):
        return call
    return msgspec.structs.replace(call, origin=Origin(call.caller.address, call.caller.role))


def _of_the_same(one: Call, other: Call) -> bool:
    """Tell whether two calls have one origin or one sender (a proxy sends for many)."""
    same_sender = one.caller.address == other.caller.address and not one.caller.is_proxy
    return same_sender or one.origin.name == other.origin.name


def _named(call: Call) -> Mapping[str, Any]:
    if isinstance(call.params, Mapping):
        return call.params
    if len(call.params) == 1 and isinstance(call.params[0], Mapping):
        return call.params[0]  # a struct of named parameters, as callers in XML-RPC send it
    return dict(zip(("job", "timeout"), call.params, strict=False))


async def _at_once(value: Builtin) -> Builtin:
    return value


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def origin_of_call(own: str) -> Origin:
    """On whose behalf the present task works: the call or job being served, else the module itself."""
    return current_origin.get() or Origin(own)
