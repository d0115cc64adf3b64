"""Two towns on this machine, each service a process of its own, on real Apache Kafka and PostgreSQL (`make up`).

Reading order: `up` (the whole flow), `towns` (a town's home, ports, environment), `state` (what runs, so that `down`
ends that and nothing else), `down`. For trying things out: a real town is run by its own operator.
"""
