"""What a module is: calls, jobs, states, events, lifecycle, configuration and the supervisor.

Module authors inherit from `pytel.services.Module`; interfaces are built from the names below.
"""

from pytel.bus.contract import Origin, Role
from pytel.module.interface import Interface
from pytel.module.jobs import Job, JobReport, JobStatus
from pytel.module.messages import Capabilities, ErrorRaised, ErrorReport, Event, ModuleState, State, Struct
from pytel.module.rpc import limit, rpc

__all__ = [
    "Capabilities",
    "ErrorRaised",
    "ErrorReport",
    "Event",
    "Interface",
    "Job",
    "JobReport",
    "JobStatus",
    "ModuleState",
    "Origin",
    "Role",
    "State",
    "Struct",
    "limit",
    "rpc",
]
