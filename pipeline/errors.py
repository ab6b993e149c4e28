"""The pipeline's own errors, one family per person who has to act. Messages never hold personal data."""


class PipelineError(Exception):
    """Base of every error the pipeline raises itself."""


class ConfigurationError(PipelineError):
    """The operator has to act: a setting is missing, wrong, or does not fit the org."""


class InvalidEvent(PipelineError):  # noqa: N818  (an event is invalid; nothing went wrong in the pipeline)
    """The producer has to act: an event breaks the Segment spec or a bound of size or nesting."""


class RefusedCall(PipelineError, TypeError):  # noqa: N818  (what was refused, not what went wrong)
    """The producer has to act: it calls a task in a way that would lose events, or sends what is no event."""


class LeaseLost(PipelineError):  # noqa: N818  (a fact about a claim, not a fault)
    """A worker no longer holds the claim it wants to act on; whoever holds it now will do the work."""
