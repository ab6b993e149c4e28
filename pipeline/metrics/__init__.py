"""Figures of the running system: what workers count, a day's history of it, and the page that Prometheus reads.

Keys, one hash tag
    pipeline:{metrics}:totals   hash: figure|label|label → number so far; one write a batch
    pipeline:{metrics}:history  stream: one entry a minute of the last day, the totals as they were then
    pipeline:{metrics}:workers  sorted set: role|node name → when it was last heard of, Unix s
    pipeline:{metrics}:beat     string: when beat was last heard of, Unix s
"""
