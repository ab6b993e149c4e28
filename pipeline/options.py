"""What an operation's `options` may say to delivery. A key is there only where it differs from the default."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from pipeline.operation import Json


class Lookup(TypedDict, total=False):
    """The record whose Id goes into a reference field."""

    object: str  # API name of the object it is looked for in
    match: Mapping[str, Json]  # field → value, all of which select it
    on_create: bool  # only where the operation's own record does not exist yet


class Options(TypedDict, total=False):
    """The keys of `Operation.options`, all of them JSON."""

    join: Literal["or"]  # any field of `match` selects the record; the default is that all do
    on_multiple: Literal["newest", "error"]  # of several matches; the default is the oldest
    on_converted: Literal["skip", "create"]  # a converted lead; the default is to write to its contact
    clear_nulls: Literal[True]  # a null clears the field; by default it is left out
    on_uncertain: Literal["dead_letter"]  # a create whose answer was lost; the default is to try it again
    lookups: Mapping[str, Lookup]  # reference field → the record it points to
    read: list[str]  # of a read: the fields to return
    priority: Literal["high"]  # delivered first while API calls are scarce
    refusal: str  # why this rule could not be mapped: the operation is to be buried with this reason
