"""Which creche this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("creche")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0.0.0+source"
