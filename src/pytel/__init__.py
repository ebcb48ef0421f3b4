"""pytel operates robotic telescopes out of small modules that talk over open standards."""

__version__ = "0.1.0"
