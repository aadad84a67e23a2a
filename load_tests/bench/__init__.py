"""The benchmark: how fast the platform is beside raw PostgreSQL on the same machine, in one run (`make bench`).

`database` lets pgbench call the baselines of `load_tests/raw` and the platform's own function on the same tables;
`web` posts over HTTP; `figures` turns rounds into medians, intervals and ratios; `report` prints them, ratios first.
"""
