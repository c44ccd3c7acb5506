"""Results become files and tables: terminal, JSON, JUnit XML, Markdown and HTML."""

from .as_json import read
from .folder import prepare, write
from .terminal import table

__all__ = ["prepare", "read", "table", "write"]
