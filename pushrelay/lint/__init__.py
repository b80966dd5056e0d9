"""What is wrong with a body before it is pushed, and what is only unwise."""

from pushrelay.lint.lint import Finding, Severity, lint

__all__ = ["Finding", "Severity", "lint"]
