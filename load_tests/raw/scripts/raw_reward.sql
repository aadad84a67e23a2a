\set batch random(1, :batches)
\set key random(1, 9000000000000000000)
SELECT raw.reward_messages(1, 1, 1, :key::text, b.accounts, b.offers, b.bodies) FROM raw.batch b WHERE b.batch_id = :batch;
