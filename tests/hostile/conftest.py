import fsspec
import pytest


@pytest.fixture
def memory() -> str:
    """A folder of its own in the memory file system."""
    fs = fsspec.filesystem("memory")
    if fs.exists("/hostile"):
        fs.rm("/hostile", recursive=True)
    return "memory://hostile"
