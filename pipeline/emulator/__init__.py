"""A local Salesforce org over HTTP, for tests, demonstrations and measurements.

It shares no code with the rest of this package, so that a mistake of the client cannot agree with itself here.
Where a fact about Salesforce is followed, the docstring names its source; docs/emulator.md lists what is covered.
"""
