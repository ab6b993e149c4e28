"""Operations waiting in Redis: one inbox per record key, claimed and settled in batches by whoever holds the locks."""
