"""What can go wrong, as a tree: each leaf has a stable code, a Spanish sentence and what to do about it.

ItemError            costs one member; becomes a `Failed` outcome
├── NoPhoto, DuplicateMember, SeveralPhotos, BadName          roster: nothing that could be fetched
├── PhotoNotFound, PhotoUnavailable                           download
├── InvalidImage                                              decode
│   └── OversizedPhoto, TruncatedDownload                     download
├── DangerousImage                                            decode
├── SharedPhoto, PlaceholderPhoto                             decode: the same picture as somebody else's
├── NoFace, FaceTooSmall, SeveralFaces, NotAPortrait          detect
├── UnclearOrientation, NotAPhoto, LowQuality                 detect
├── TookTooLong                                               decode, detect: no end was to be seen
├── BadVector                                                 embed
├── RowRefused                                                store
├── SetAside                                                  run: whoever was under way when runs died
└── Unexpected                                                any stage: a defect of ours, the log has the traceback
RunError             ends the run with its `exit_code`
├── SettingsError, UnknownModel, MissingDependency            2: could not start
├── MemberNotProcessable                                      1: the one member asked for cannot be done
├── MixedModels                                               2: one row of another model than all the others
├── DatabaseUnavailable, WeightsUnavailable, NotWritable      3: not available
├── Suspicious, VectorsChanged                                3: going on would do harm
├── NotSwitched                                               3: new vectors that are not to be used as they are
├── Defect                                                    3: an error of ours, the log has the traceback
├── Stuck                                                     3: photos, downloads or the net do not come to an end
├── AlreadyRunning                                            4: another run is at it
└── Interrupted                                               130: before there was anybody to process
"""

from app.errors.items import (
    BadName,
    BadVector,
    DangerousImage,
    DuplicateMember,
    FaceTooSmall,
    InvalidImage,
    ItemError,
    LowQuality,
    NoFace,
    NoPhoto,
    NotAPhoto,
    NotAPortrait,
    OversizedPhoto,
    PhotoNotFound,
    PhotoUnavailable,
    PlaceholderPhoto,
    RowRefused,
    SetAside,
    SeveralFaces,
    SeveralPhotos,
    SharedPhoto,
    TookTooLong,
    TruncatedDownload,
    UnclearOrientation,
    Unexpected,
    item_errors,
    kind_of,
)
from app.errors.runs import (
    EXIT_ALREADY_RUNNING,
    EXIT_BY_SIGNAL,
    EXIT_INTERRUPTED,
    EXIT_NOT_AVAILABLE,
    EXIT_NOT_STARTED,
    EXIT_OK,
    EXIT_SOME_FAILED,
    AlreadyRunning,
    DatabaseUnavailable,
    Defect,
    Interrupted,
    MemberNotProcessable,
    MissingDependency,
    MixedModels,
    NotSwitched,
    NotWritable,
    RunError,
    SettingsError,
    Stuck,
    Suspicious,
    UnknownModel,
    VectorsChanged,
    WeightsUnavailable,
)

__all__ = [
    "EXIT_ALREADY_RUNNING",
    "EXIT_BY_SIGNAL",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_AVAILABLE",
    "EXIT_NOT_STARTED",
    "EXIT_OK",
    "EXIT_SOME_FAILED",
    "AlreadyRunning",
    "BadName",
    "BadVector",
    "DangerousImage",
    "DatabaseUnavailable",
    "Defect",
    "DuplicateMember",
    "FaceTooSmall",
    "Interrupted",
    "InvalidImage",
    "ItemError",
    "LowQuality",
    "MemberNotProcessable",
    "MissingDependency",
    "MixedModels",
    "NoFace",
    "NoPhoto",
    "NotAPhoto",
    "NotAPortrait",
    "NotSwitched",
    "NotWritable",
    "OversizedPhoto",
    "PhotoNotFound",
    "PhotoUnavailable",
    "PlaceholderPhoto",
    "RowRefused",
    "RunError",
    "SetAside",
    "SettingsError",
    "SeveralFaces",
    "SeveralPhotos",
    "SharedPhoto",
    "Stuck",
    "Suspicious",
    "TookTooLong",
    "TruncatedDownload",
    "UnclearOrientation",
    "Unexpected",
    "UnknownModel",
    "VectorsChanged",
    "WeightsUnavailable",
    "item_errors",
    "kind_of",
]
