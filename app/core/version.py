"""The version of this program."""

VERSION = "1.0.0"  # pyproject.toml has it, too, and CHANGELOG.md what is new in it
