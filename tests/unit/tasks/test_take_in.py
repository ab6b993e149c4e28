import pytest
from celery.exceptions import Reject

from pipeline.tasks.ingest import take_in

BROKEN = ("{", "application/json", "utf-8")


def test_a_message_that_cannot_be_taken_in_sends_its_group_back_to_come_again_one_by_one() -> None:
    with pytest.raises(Reject) as sent_back:
        take_in([("[[], {}, {}]", "application/json", "utf-8"), BROKEN])
    assert sent_back.value.requeue is True  # type: ignore[attr-defined]  # the stubs leave it out
