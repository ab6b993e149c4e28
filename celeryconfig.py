"""Celery's settings under the name that Celery looks for by default; they stand in pipeline/celeryconfig.py."""

from pipeline.celeryconfig import *  # noqa: F403
