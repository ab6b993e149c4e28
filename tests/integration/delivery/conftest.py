"""What several tests of delivery start from."""

import pytest
from redis import Redis

from tests.integration.delivery.bulk import Delivery


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    return Delivery(redis_client, emulator_url)
