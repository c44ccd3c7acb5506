"""The cross-framework suite. Its networks are small, so each process runs them in one thread."""

from diglot.core import threads

threads.single()
