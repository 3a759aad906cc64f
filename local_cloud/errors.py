"""What can go wrong in the local cloud.

LocalCloudError
├── NotRunningError    no supervisor answers for this folder
├── StartError         a part did not come up; the message ends with the last line of its log
├── MissingToolError   Java, a jar or the emulator is not installed
├── PortInUseError     no free port is left
└── DiskFullError      the state folder's disk has no room left
"""


class LocalCloudError(Exception):
    """Raised with one sentence: what, where, what was expected and what to do."""


class NotRunningError(LocalCloudError):
    """Raised when a running local cloud is needed and none answers; start it with `lake up`."""


class StartError(LocalCloudError):
    """Raised when a part of the local cloud does not answer in time; its log is named."""


class MissingToolError(LocalCloudError):
    """Raised when an installed part is absent; `make setup` installs all of them."""


class PortInUseError(LocalCloudError):
    """Raised when no free port is found on the loopback interface."""


class DiskFullError(LocalCloudError):
    """Raised when the state folder cannot be written; free some space and start again."""
