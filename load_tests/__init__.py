"""Load: locust users, the raw baselines and the traffic simulator that demo and tests share."""
