-- Ended commands are forgotten by age, like the rest of history.
CREATE INDEX command_by_age ON command (queued_at) WHERE state IN ('completed', 'failed', 'expired', 'cancelled');
