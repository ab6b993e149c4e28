"""A page for the people on call: the flow, the last day, dead letters, traces and pauses, behind a password.

`server.py` runs it, `app.py` says who may see what, `access.py`, `visits.py` and `seal.py` how that is known. What a
page shows is made of plain values: `overview.py`, `flow_picture.py`, `plots.py`, `letters.py`, `trace.py`, `pauses.py`.
"""
