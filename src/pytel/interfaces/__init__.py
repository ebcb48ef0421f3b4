"""What modules can do: one file for each device or service, with its states, events and capabilities.

An interface is a concrete class whose `@rpc` methods raise `NotImplementedError`; a module inherits from it and fills
them in, a caller asks for it by class:

    telescope = self.find(Telescope)
    await telescope.move_radec(83.82, -5.39)

Words and meanings are those of ASCOM, INDI and FITS. Nothing here does anything, and importing all of it is cheap.
"""

from pytel.interfaces.acquisition import (
    Acquisition,
    AcquisitionFailed,
    AcquisitionResult,
    AcquisitionState,
    AcquisitionStatus,
    FieldNotSolved,
    TargetAcquired,
)
from pytel.interfaces.autofocus import (
    AutoFocus,
    AutoFocusState,
    AutoFocusStatus,
    FocusFailed,
    FocusFound,
    FocusModel,
    FocusPoint,
    FocusPrediction,
    FocusResult,
)
from pytel.interfaces.autoguider import (
    AutoGuider,
    AutoGuiderState,
    AutoGuiderStatus,
    GuideCorrected,
    GuideOffset,
    GuideStatistics,
    GuidingLost,
)
from pytel.interfaces.calibration import (
    CalibrationFrames,
    CalibrationFramesState,
    CalibrationSet,
    CalibrationStatus,
    CalibrationTaken,
)
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus, Window
from pytel.interfaces.control import Control, ControlState, Lease
from pytel.interfaces.cover import (
    CalibratorStatus,
    CoverCalibrator,
    CoverCalibratorCapabilities,
    CoverCalibratorState,
    CoverStatus,
)
from pytel.interfaces.enclosure import (
    Enclosure,
    EnclosureCapabilities,
    EnclosureClosing,
    EnclosureState,
    EnclosureStatus,
)
from pytel.interfaces.filterwheel import Filter, FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.flatfield import (
    FlatField,
    FlatFieldFailed,
    FlatFieldResult,
    FlatFieldState,
    FlatFieldStatus,
    FlatsTaken,
)
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.gateway import Gateway, GatewayState
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities, GuidePortState
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive, ImageArchived, ImageArchiveState
from pytel.interfaces.images import FrameType, ImageRef, NewImage
from pytel.interfaces.imagestore import ImageStore, ImageStoreCapabilities, ImageStoreState, StoreAccess, StoreDirectory
from pytel.interfaces.indi import IndiProperties, IndiProperty
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.notifier import Notified, Notifier, Urgency
from pytel.interfaces.observer import NightEnded, Observer, ObserverState, ObserverStatus
from pytel.interfaces.pointing import (
    PointingMeasured,
    PointingResult,
    PointingRun,
    PointingRunFailed,
    PointingRunState,
    PointingStatus,
)
from pytel.interfaces.reduction import (
    CalibrationMissing,
    ImageReduced,
    MasterFrame,
    ReducedImage,
    Reduction,
    ReductionState,
    ReductionStatus,
)
from pytel.interfaces.rotator import PositionAngle, Rotator, RotatorCapabilities, RotatorState
from pytel.interfaces.safety import SafetyChanged, SafetyMonitor, SafetyMonitorState
from pytel.interfaces.scheduler import (
    Schedule,
    ScheduleBlock,
    ScheduleChanged,
    Scheduler,
    SchedulerState,
    SchedulerStatus,
    UnscheduledTask,
)
from pytel.interfaces.switch import PortValue, Switch, SwitchCapabilities, SwitchChanged, SwitchPort, SwitchState
from pytel.interfaces.tasks import (
    Constraints,
    Exposures,
    Target,
    Task,
    TaskChanged,
    TaskEntry,
    TaskStatus,
    TaskStore,
    TaskStoreState,
)
from pytel.interfaces.telescope import MountKind, Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.interfaces.timesource import TimeSource, TimeSourceState
from pytel.interfaces.weather import WeatherState, WeatherStation

__all__ = [
    "Acquisition",
    "AcquisitionFailed",
    "AcquisitionResult",
    "AcquisitionState",
    "AcquisitionStatus",
    "ArchivedImage",
    "AutoFocus",
    "AutoFocusState",
    "AutoFocusStatus",
    "AutoGuider",
    "AutoGuiderState",
    "AutoGuiderStatus",
    "CalibrationFrames",
    "CalibrationFramesState",
    "CalibrationMissing",
    "CalibrationSet",
    "CalibrationStatus",
    "CalibrationTaken",
    "CalibratorStatus",
    "Camera",
    "CameraCapabilities",
    "CameraState",
    "CameraStatus",
    "Card",
    "Constraints",
    "Control",
    "ControlState",
    "CoverCalibrator",
    "CoverCalibratorCapabilities",
    "CoverCalibratorState",
    "CoverStatus",
    "Enclosure",
    "EnclosureCapabilities",
    "EnclosureClosing",
    "EnclosureState",
    "EnclosureStatus",
    "ExposureMoment",
    "Exposures",
    "FieldNotSolved",
    "Filter",
    "FilterWheel",
    "FilterWheelCapabilities",
    "FilterWheelState",
    "FitsHeaderProvider",
    "FlatField",
    "FlatFieldFailed",
    "FlatFieldResult",
    "FlatFieldState",
    "FlatFieldStatus",
    "FlatsTaken",
    "FocusFailed",
    "FocusFound",
    "FocusModel",
    "FocusPoint",
    "FocusPrediction",
    "FocusResult",
    "Focuser",
    "FocuserCapabilities",
    "FocuserState",
    "FrameType",
    "Gateway",
    "GatewayState",
    "GuideCorrected",
    "GuideDirection",
    "GuideOffset",
    "GuidePort",
    "GuidePortCapabilities",
    "GuidePortState",
    "GuideStatistics",
    "GuidingLost",
    "ImageArchive",
    "ImageArchiveState",
    "ImageArchived",
    "ImageReduced",
    "ImageRef",
    "ImageStore",
    "ImageStoreCapabilities",
    "ImageStoreState",
    "IndiProperties",
    "IndiProperty",
    "Lease",
    "MasterFrame",
    "MotionStatus",
    "MountKind",
    "NewImage",
    "NightEnded",
    "Notified",
    "Notifier",
    "Observer",
    "ObserverState",
    "ObserverStatus",
    "PointingMeasured",
    "PointingResult",
    "PointingRun",
    "PointingRunFailed",
    "PointingRunState",
    "PointingStatus",
    "PortValue",
    "PositionAngle",
    "ReducedImage",
    "Reduction",
    "ReductionState",
    "ReductionStatus",
    "Rotator",
    "RotatorCapabilities",
    "RotatorState",
    "SafetyChanged",
    "SafetyMonitor",
    "SafetyMonitorState",
    "Schedule",
    "ScheduleBlock",
    "ScheduleChanged",
    "Scheduler",
    "SchedulerState",
    "SchedulerStatus",
    "StoreAccess",
    "StoreDirectory",
    "Switch",
    "SwitchCapabilities",
    "SwitchChanged",
    "SwitchPort",
    "SwitchState",
    "Target",
    "TargetAcquired",
    "Task",
    "TaskChanged",
    "TaskEntry",
    "TaskStatus",
    "TaskStore",
    "TaskStoreState",
    "Telescope",
    "TelescopeCapabilities",
    "TelescopeState",
    "TelescopeStatus",
    "TimeSource",
    "TimeSourceState",
    "UnscheduledTask",
    "Urgency",
    "WeatherState",
    "WeatherStation",
    "Window",
]
