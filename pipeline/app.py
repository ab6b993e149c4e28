"""The Celery application: the one place where it is made."""

from celery import Celery

app = Celery("pipeline", include=["pipeline.tasks.ingest", "pipeline.tasks.deliver", "pipeline.tasks.upkeep"])
app.config_from_object("pipeline.celeryconfig")
