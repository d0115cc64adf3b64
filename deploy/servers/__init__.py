"""Real Apache Kafka and PostgreSQL on this machine, from package registries alone.

Reading order: `find` (which server, sought in which order), `kafka` and `postgres` (one server each),
`containers` (the same two in Docker), `jars` (where Kafka's code comes from), `child` (how a process is
started so that it never outlives us). Tests, benches and `make up` use this package; the product does not.
"""
