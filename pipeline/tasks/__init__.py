"""What Celery runs: thin tasks that lead operations from room to room."""
