"""The benches: what this machine gives, measured, and the same work done by others in the same run (`make bench`).

Nothing here judges a figure: absolute ones differ by machine and by what else runs on it. So each run also measures
the plain pattern of the `eventsourcing` library and a raw double entry, and says how many times as fast ours is.

Reading order: `table` (figures), `setting` (counts, servers, folders), `exchanges` (the load), then a subject each:
`bench_journal`, `bench_plain`, `bench_raw`, `bench_startup`, `bench_audit`, `bench_http` (with `yardstick`) and
`bench_towns` (with `nodes`: running towns, and `load`: the process that posts). `docs/benchmarks.md` reports a run.
"""
