"""Our errors in the numbers of a foreign system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pytel.base.errors import PytelError, error_class
from pytel.bus.contract import Builtin
from pytel.module.faults import Found


def faults_of_errors(errors: Mapping[str, int]) -> Iterator[Found]:
    """Tell which names are none of ours."""
    for name in errors:
        if error_class(name) is None:
            yield ("errors", name), f"pytel has no error {name!r}; there are Busy, NotAllowed, Unsafe and others"


def told_error(error: PytelError, codes: Mapping[str, int]) -> dict[str, Builtin]:
    """An error of ours as the object of JSON-RPC, with their code for it or for the nearest of its kind."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, PytelError)]
    code = next((codes[name] for name in kinds if name in codes), error.code)
    return {"code": code, "message": error.message, "data": {"name": error.name}}


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """What a table can take of a job that has just begun: `number` is a whole number, for systems that want one."""

    job: str
    number: int
    eta: float | None = None
