"""Measurements that anybody can run: `make bench`. Ratios within one run; never part of the tests (docs/benchmarks.md)."""
